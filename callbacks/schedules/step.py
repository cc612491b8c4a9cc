"""A rate that falls at once, now and then."""

from collections.abc import Sequence

from keras import ops

from zoo.utils.arguments import check_positive, invalid_argument, is_number

from .schedule import Schedule, registered


@registered
class Step(Schedule):
    """Is multiplied by a factor every so often, or at given boundaries.

    Both count from time 0, with the warm-up in it, as in the recipe of Goyal et al.
    2017: 5 epochs of warm-up, then a tenth at epochs 30, 60 and 80. At a boundary
    itself the new factor holds.

    Args:
        every: Number > `warmup`: time from one drop to the next. Defaults to `None`,
            which needs `boundaries`.
        boundaries: Times of the drops instead, rising numbers > `warmup`. Defaults to
            `None`.
        factor: Number > 0 that each drop multiplies by. Defaults to `0.1`.
        warmup: Number >= 0: how long the factor rises from 0. Defaults to `0.0`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> step = Step(30, factor=0.5, warmup=5)
    >>> [float(step(time)) for time in (0, 5, 29.9, 30, 60, 90, 100)]
    [0.0, 1.0, 1.0, 0.5, 0.25, 0.125, 0.125]
    >>> step = Step(boundaries=(30, 80), factor=0.5)
    >>> [float(step(time)) for time in (0, 29.9, 30, 80, 1000)]
    [1.0, 1.0, 0.5, 0.25, 0.25]
    """

    def __init__(
        self,
        every: float | None = None,
        *,
        boundaries: Sequence[float] | None = None,
        factor: float = 0.1,
        warmup: float = 0.0,
    ):
        super().__init__(warmup)
        if (every is None) == (boundaries is None):
            received = f"every={every!r}, boundaries={boundaries!r}"
            raise ValueError(
                "Invalid values for arguments `every` and `boundaries`. Expected one "
                f"of them. Received: {received}"
            )
        self.every = self._check_every(every)
        self.boundaries = self._check_boundaries(boundaries)
        self.factor = check_positive("factor", factor)

    def shape(self, time):
        return ops.power(self.factor, self._drops(time))

    def _drops(self, time):
        if self.boundaries is not None:
            return sum(ops.cast(time >= end, "float32") for end in self.boundaries)
        # Not `floor(time / every)`: a rounded quotient can lie below a whole number.
        drops = ops.round(time / self.every)
        return drops - ops.cast(drops * self.every > time, "float32")

    def _check_every(self, every) -> float | None:
        if every is None:
            return None
        if not is_number(every) or every <= self.warmup:
            raise invalid_argument(
                "every", f"a number > `warmup`, which is {self.warmup:g}", every
            )
        return float(every)

    def _check_boundaries(self, boundaries) -> tuple[float, ...] | None:
        if boundaries is None:
            return None
        valid = isinstance(boundaries, Sequence) and all(map(is_number, boundaries))
        rising = valid and sorted({self.warmup, *boundaries}) == [
            self.warmup,
            *boundaries,
        ]
        if not rising or not boundaries:
            raise invalid_argument(
                "boundaries",
                f"rising numbers > `warmup`, which is {self.warmup:g}",
                boundaries,
            )
        return tuple(float(boundary) for boundary in boundaries)

    def get_config(self) -> dict:
        return {
            "every": self.every,
            "boundaries": self.boundaries,
            "factor": self.factor,
            **super().get_config(),
        }
