"""A constant learning rate, with an optional warm-up."""

import keras
from keras import ops

from .schedule import Schedule


@keras.saving.register_keras_serializable(package="kerascope")
class Constant(Schedule):
    """Keeps the factor at 1 after the warm-up.

    Args:
        warmup: Number >= 0, the duration of the linear warm-up from 0. Defaults to
            `0.0`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> constant = Constant(warmup=5)
    >>> [float(constant(time)) for time in (0, 2.5, 5, 90)]
    [0.0, 0.5, 1.0, 1.0]
    """

    def factor(self, time):
        return ops.ones_like(time)
