"""Models, and what they need to be trained and judged."""

from . import datasets, layers, losses
from .mlp import mlp
from .res_mlp import res_mlp

__all__ = ["datasets", "layers", "losses", "mlp", "res_mlp"]
