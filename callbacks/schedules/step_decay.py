"""A learning rate that drops at regular intervals or at given times."""

from collections.abc import Sequence

import keras
from keras import ops

from zoo.utils.arguments import check_positive, invalid_argument, is_number

from .schedule import Schedule


@keras.saving.register_keras_serializable(package="kerascope")
class StepDecay(Schedule):
    """Multiplies the learning rate by a factor at regular intervals or at given times.

    Intervals and boundaries are measured from time 0, so they include the warm-up. For
    example, Goyal et al. 2017 warm up for 5 epochs, then divide the learning rate by 10
    at epochs 30, 60 and 80. Each new factor takes effect exactly at its boundary.

    Args:
        every: Number > `warmup`, the time between drops. Defaults to `None`, which
            requires `boundaries`.
        boundaries: Numbers > `warmup`, the times of the drops in increasing order.
            Defaults to `None`, which requires `every`.
        factor: Number > 0. Each drop multiplies the learning rate by this factor.
            Defaults to `0.1`.
        warmup: Number >= 0, the duration of the linear warm-up from 0. Defaults to
            `0.0`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> step = StepDecay(30, factor=0.5, warmup=5)
    >>> [float(step(time)) for time in (0, 5, 29.9, 30, 60, 90, 100)]
    [0.0, 1.0, 1.0, 0.5, 0.25, 0.125, 0.125]
    >>> step = StepDecay(boundaries=(30, 80), factor=0.5)
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
        self._drop = check_positive("factor", factor)

    def factor(self, time):
        return ops.power(self._drop, self._drops(time))

    def _drops(self, time):
        if self.boundaries is not None:
            return sum(ops.cast(time >= end, "float32") for end in self.boundaries)
        # `floor(time / every)` would be wrong: rounding can push the quotient just
        # below a whole number.
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
            "factor": self._drop,
            **super().get_config(),
        }


# Keras can still load files that were saved under the old name.
keras.saving.get_custom_objects()["kerascope>Step"] = StepDecay
