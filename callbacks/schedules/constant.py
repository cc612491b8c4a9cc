"""A rate that stays."""

from keras import ops

from .registration import registered
from .schedule import Schedule


@registered
class Constant(Schedule):
    """Stays at 1, after the warm-up.

    Args:
        warmup: Number >= 0: how long the factor rises from 0. Defaults to `0.0`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> constant = Constant(warmup=5)
    >>> [float(constant(time)) for time in (0, 2.5, 5, 90)]
    [0.0, 0.5, 1.0, 1.0]
    """

    def factor(self, time):
        return ops.ones_like(time)
