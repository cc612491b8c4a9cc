"""Shapes of the learning rate: pure functions of time."""

from .constant import Constant
from .cosine import Cosine
from .exponential import Exponential
from .inverse_square_root import InverseSquareRoot
from .inverse_time import InverseTime
from .linear import Linear
from .one_cycle import OneCycle
from .scale_learning_rate import scale_learning_rate
from .schedule import Schedule
from .step import Step

__all__ = [
    "Constant",
    "Cosine",
    "Exponential",
    "InverseSquareRoot",
    "InverseTime",
    "Linear",
    "OneCycle",
    "Schedule",
    "Step",
    "scale_learning_rate",
]
