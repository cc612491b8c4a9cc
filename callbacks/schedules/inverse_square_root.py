"""Inverse square-root decay."""

import keras
from keras import ops

from zoo.utils.arguments import check_positive, invalid_argument

from .schedule import Schedule


@keras.saving.register_keras_serializable(package="kerascope")
class InverseSquareRoot(Schedule):
    """Decays as sqrt(T / (T + t)), where t is the time since the end of the warm-up.

    Without a `timescale`, T equals the duration w of the warm-up. The factor is then
    min(s / w, sqrt(w / s)), where s is the time since the start of the warm-up, as in
    Vaswani et al. 2017, equation 3. With a `timescale` (Zhai et al. 2022, Scaling
    Vision Transformers), no warm-up is needed. The decay never ends.

    Args:
        timescale: Number > 0, the time scale T. Defaults to `None`, which uses the
            duration of the warm-up.
        warmup: Number >= 0, the duration of the linear warm-up from 0. Defaults to
            `0.0`, which requires a `timescale`.

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

    def factor(self, time):
        timescale = self.timescale or self.warmup
        return ops.sqrt(timescale / (timescale + time - self.warmup))

    def get_config(self) -> dict:
        return {"timescale": self.timescale, **super().get_config()}
