"""Models, and what they need to be trained and judged."""

from . import datasets
from .mlp import mlp

__all__ = ["datasets", "mlp"]
