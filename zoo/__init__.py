"""Models, and what they need to be trained and judged."""

from . import datasets, layers, losses
from .language_model import LanguageModel
from .lstm import lstm
from .mlp import mlp
from .res_mlp import res_mlp

__all__ = ["LanguageModel", "datasets", "layers", "losses", "lstm", "mlp", "res_mlp"]
