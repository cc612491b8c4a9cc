"""Search spaces and hyperparameter searches based on KerasTuner."""

from .coarse_to_fine_search import CoarseToFineSearch
from .random_search import RandomSearch
from .spaces import LSTMSpace, MLPSpace, ResMLPSpace, zero_or_log_uniform

__all__ = [
    "CoarseToFineSearch",
    "LSTMSpace",
    "MLPSpace",
    "RandomSearch",
    "ResMLPSpace",
    "zero_or_log_uniform",
]
