"""The one-cycle schedule."""

import math

import keras
from keras import ops

from zoo.utils.arguments import check_fraction, invalid_argument, is_number

from .schedule import Schedule, check_length


@keras.saving.register_keras_serializable(package="kerascope")
class OneCycle(Schedule):
    """Rises to 1 and then decays far below the initial value, both along half a cosine.

    See Smith & Topin 2019 (super-convergence). This is the two-phase form, with the
    defaults that fastai, PyTorch and optax share. The learning rate that the model is
    compiled with is the peak of the cycle. After the end, the factor stays at `final`.

    Args:
        length: Number > 0, the end time including the warm-up.
        peak: Position of the peak, as a fraction of the cycle, in (0, 1). Defaults to
            `0.3`.
        initial: Factor at the start of the cycle, in [0, 1). Defaults to `1 / 25`.
        final: Factor at the end of the cycle, in [0, 1). Defaults to `1 / 250_000`.
        warmup: Number >= 0, the duration of the linear warm-up from 0 to `initial`
            before the cycle. Defaults to `0.0`, because the cycle already starts with a
            low factor.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> one_cycle = OneCycle(100)
    >>> [round(float(one_cycle(time)), 4) for time in (0, 15, 30, 65, 100, 120)]
    [0.04, 0.52, 1.0, 0.5, 0.0, 0.0]
    """

    def __init__(
        self,
        length: float,
        *,
        peak: float = 0.3,
        initial: float = 1 / 25,
        final: float = 1 / 250_000,
        warmup: float = 0.0,
    ):
        super().__init__(warmup)
        self.length = check_length(length, self.warmup)
        if not is_number(peak) or not 0 < peak < 1:
            raise invalid_argument("peak", "a float in (0, 1)", peak)
        self.peak = float(peak)
        self.initial = check_fraction("initial", initial)
        self.final = check_fraction("final", final)

    def factor(self, time):
        progress = (time - self.warmup) / (self.length - self.warmup)
        rising = progress < self.peak
        rise = progress / self.peak
        fall = ops.minimum((progress - self.peak) / (1 - self.peak), 1.0)
        # 0 at the peak, 1 at the start and at the end of the cycle.
        foot = ops.where(rising, 1 - rise, fall)
        low = ops.where(rising, self.initial, self.final)
        return low + (1 - low) * (1 + ops.cos(math.pi * foot)) / 2

    def get_config(self) -> dict:
        return {
            "length": self.length,
            "peak": self.peak,
            "initial": self.initial,
            "final": self.final,
            **super().get_config(),
        }
