"""Models, and what they need to be trained and judged."""

from . import datasets, layers, losses
from .mlp import mlp

__all__ = ["datasets", "layers", "losses", "mlp"]
