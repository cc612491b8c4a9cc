"""Models, and what they need to be trained and judged."""

from . import datasets
from .lstm import lstm
from .mlp import mlp

__all__ = ["datasets", "lstm", "mlp"]
