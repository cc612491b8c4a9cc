"""Cosine decay, once or in cycles."""

import math

import keras
import numpy as np
from keras import ops

from zoo.utils.arguments import check_fraction, check_integer, check_positive

from .schedule import Schedule, check_length


@keras.saving.register_keras_serializable(package="kerascope")
class Cosine(Schedule):
    """Decays from 1 to a minimum along half a cosine, optionally with warm restarts.

    See Loshchilov & Hutter 2017 (SGDR), equation 5. The time between the end of the
    warm-up and `length` is divided into cycles. Each cycle starts at 1 and is `growth`
    times as long as the previous one. After the end, the factor stays at the minimum.

    Args:
        length: Number > 0, the end time including the warm-up.
        minimum: Factor at the end of each cycle, in [0, 1). Defaults to `0.0`.
        cycles: Integer >= 1, the number of cycles. Defaults to `1`.
        growth: Number > 0, the ratio of the length of each cycle to the length of the
            previous cycle. Defaults to `1.0`.
        warmup: Number >= 0, the duration of the linear warm-up from 0. Defaults to
            `0.0`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> cosine = Cosine(90, warmup=5)
    >>> [round(float(cosine(time)), 4) for time in (0, 2.5, 5, 47.5, 90, 100)]
    [0.0, 0.5, 1.0, 0.5, 0.0, 0.0]
    >>> cycles = Cosine(70, minimum=0.2, cycles=3, growth=2)
    >>> cycles.cycle_ends
    (10.0, 30.0, 70.0)
    >>> [round(float(cycles(time)), 4) for time in (0, 5, 10, 20, 30, 50, 70, 80)]
    [1.0, 0.6, 1.0, 0.6, 1.0, 0.6, 0.2, 0.2]
    """

    def __init__(
        self,
        length: float,
        *,
        minimum: float = 0.0,
        cycles: int = 1,
        growth: float = 1.0,
        warmup: float = 0.0,
    ):
        super().__init__(warmup)
        self.length = check_length(length, self.warmup)
        self.minimum = check_fraction("minimum", minimum)
        self.cycles = check_integer("cycles", cycles, minimum=1)
        self.growth = check_positive("growth", growth)

    @property
    def cycle_ends(self) -> tuple[float, ...]:
        """End times of the cycles. The last cycle ends at `length`."""
        shares = np.cumsum(self.growth ** np.arange(self.cycles))
        ends = self.warmup + (self.length - self.warmup) * shares / shares[-1]
        return tuple(ends.tolist())

    def factor(self, time):
        first, *ends = self.cycle_ends
        begin, duration = self.warmup, first - self.warmup
        for previous, end in zip((first, *ends), ends, strict=False):
            begin = ops.where(time >= previous, previous, begin)
            duration = ops.where(time >= previous, end - previous, duration)
        progress = ops.minimum((time - begin) / duration, 1.0)
        fall = (1 + ops.cos(math.pi * progress)) / 2
        return self.minimum + (1 - self.minimum) * fall

    def get_config(self) -> dict:
        return {
            "length": self.length,
            "minimum": self.minimum,
            "cycles": self.cycles,
            "growth": self.growth,
            **super().get_config(),
        }
