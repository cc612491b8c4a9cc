"""Learning-rate schedules: pure functions of time."""

import warnings

from .constant import Constant
from .cosine import Cosine
from .exponential import Exponential
from .inverse_square_root import InverseSquareRoot
from .inverse_time import InverseTime
from .linear import Linear
from .one_cycle import OneCycle
from .scale_learning_rate import scale_learning_rate
from .schedule import Schedule
from .step_decay import StepDecay

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "InverseSquareRoot",
    "InverseTime",
    "Linear",
    "OneCycle",
    "Schedule",
    "StepDecay",
    "scale_learning_rate",
]


def __getattr__(name: str):
    if name == "Step":
        warnings.warn(
            "`callbacks.schedules.Step` is now called `StepDecay`. The old name will "
            "be removed.",
            DeprecationWarning,
            stacklevel=2,
        )
        return StepDecay
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
