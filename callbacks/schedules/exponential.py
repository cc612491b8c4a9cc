"""Exponential decay."""

import keras
from keras import ops

from zoo.utils.arguments import check_positive

from .schedule import Schedule


@keras.saving.register_keras_serializable(package="kerascope")
class Exponential(Schedule):
    """Decays as e^(-kt), where t is the time since the end of the warm-up.

    The decay never ends. To halve the factor every 10 epochs, use
    `decay=math.log(2) / 10`.

    Args:
        decay: Number > 0, the decay rate k.
        warmup: Number >= 0, the duration of the linear warm-up from 0. Defaults to
            `0.0`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> exponential = Exponential(0.1, warmup=5)
    >>> [round(float(exponential(time)), 4) for time in (0, 2.5, 5, 15, 90)]
    [0.0, 0.5, 1.0, 0.3679, 0.0002]
    """

    def __init__(self, decay: float, *, warmup: float = 0.0):
        super().__init__(warmup)
        self.decay = check_positive("decay", decay)

    def factor(self, time):
        return ops.exp(-self.decay * (time - self.warmup))

    def get_config(self) -> dict:
        return {"decay": self.decay, **super().get_config()}
