"""Linear decay."""

import keras
from keras import ops

from zoo.utils.arguments import check_fraction

from .schedule import Schedule, check_length


@keras.saving.register_keras_serializable(package="kerascope")
class Linear(Schedule):
    """Decays linearly from 1 to a minimum and stays there.

    Args:
        length: Number > 0, the end time including the warm-up.
        minimum: Factor at the end, in [0, 1). Defaults to `0.0`.
        warmup: Number >= 0, the duration of the linear warm-up from 0. Defaults to
            `0.0`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> linear = Linear(90, warmup=10)
    >>> [float(linear(time)) for time in (0, 5, 10, 50, 90, 100)]
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    """

    def __init__(self, length: float, *, minimum: float = 0.0, warmup: float = 0.0):
        super().__init__(warmup)
        self.length = check_length(length, self.warmup)
        self.minimum = check_fraction("minimum", minimum)

    def factor(self, time):
        progress = (time - self.warmup) / (self.length - self.warmup)
        return 1 - (1 - self.minimum) * ops.minimum(progress, 1.0)

    def get_config(self) -> dict:
        return {
            "length": self.length,
            "minimum": self.minimum,
            **super().get_config(),
        }
