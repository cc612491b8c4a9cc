"""A rate that falls as one over the square root of time."""

from keras import ops

from zoo.utils.arguments import check_positive, invalid_argument

from .schedule import Schedule, registered


@registered
class InverseSquareRoot(Schedule):
    """Falls as sqrt(T / (T + t)), t being counted from the end of the warm-up.

    With a warm-up w and no other time scale, T is w, and the factor is the
    min(t / w, sqrt(w / t)) of Vaswani et al. 2017, equation 3 (t from 0 again). With
    a time scale of its own (Zhai et al. 2022, Scaling Vision Transformers) it needs
    no warm-up. It has no end.

    Args:
        timescale: Number T > 0. Defaults to `None`: the warm-up.
        warmup: Number >= 0: how long the factor rises from 0. Defaults to `0.0`,
            which needs a `timescale`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> root = InverseSquareRoot(warmup=4)
    >>> [float(root(time)) for time in (0, 2, 4, 16, 64)]
    [0.0, 0.5, 1.0, 0.5, 0.25]
    >>> root = InverseSquareRoot(4)
    >>> [float(root(time)) for time in (0, 12, 60)]
    [1.0, 0.5, 0.25]
    """

    def __init__(self, timescale: float | None = None, *, warmup: float = 0.0):
        super().__init__(warmup)
        if timescale is not None:
            timescale = check_positive("timescale", timescale)
        elif not self.warmup:
            raise invalid_argument(
                "timescale", "a number > 0 where there is no warm-up", timescale
            )
        self.timescale = timescale

    def shape(self, time):
        timescale = self.timescale or self.warmup
        return ops.sqrt(timescale / (timescale + time - self.warmup))

    def get_config(self) -> dict:
        return {"timescale": self.timescale, **super().get_config()}
