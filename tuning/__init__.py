"""Search spaces and hyperparameter searches based on KerasTuner."""

from .coarse_to_fine_search import CoarseToFineSearch
from .optuna_search import OptunaSearch
from .random_search import RandomSearch
from .spaces import LSTMSpace, MLPSpace, ResMLPSpace, zero_or_log_uniform

__all__ = [
    "CoarseToFineSearch",
    "LSTMSpace",
    "MLPSpace",
    "OptunaSearch",
    "RandomSearch",
    "ResMLPSpace",
    "zero_or_log_uniform",
]
