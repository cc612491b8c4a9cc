"""Inverse-time decay."""

import keras

from zoo.utils.arguments import check_positive

from .schedule import Schedule


@keras.saving.register_keras_serializable(package="kerascope")
class InverseTime(Schedule):
    """Decays as 1 / (1 + kt), where t is the time since the end of the warm-up.

    The decay never ends.

    Args:
        decay: Number > 0, the decay rate k.
        warmup: Number >= 0, the duration of the linear warm-up from 0. Defaults to
            `0.0`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> inverse = InverseTime(0.25, warmup=4)
    >>> [float(inverse(time)) for time in (0, 2, 4, 8, 16, 64)]
    [0.0, 0.5, 1.0, 0.5, 0.25, 0.0625]
    """

    def __init__(self, decay: float, *, warmup: float = 0.0):
        super().__init__(warmup)
        self.decay = check_positive("decay", decay)

    def factor(self, time):
        return 1 / (1 + self.decay * (time - self.warmup))

    def get_config(self) -> dict:
        return {"decay": self.decay, **super().get_config()}
