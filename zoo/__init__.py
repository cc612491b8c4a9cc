"""Models, and what they need to be trained and judged."""

from . import datasets
from .language_model import LanguageModel
from .lstm import lstm
from .mlp import mlp

__all__ = ["LanguageModel", "datasets", "lstm", "mlp"]
