"""Models, and what they need to be trained and judged."""

from . import datasets, layers
from .mlp import mlp
from .res_mlp import res_mlp

__all__ = ["datasets", "layers", "mlp", "res_mlp"]
