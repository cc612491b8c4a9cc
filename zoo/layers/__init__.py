"""Layers that Keras lacks."""

from .drop_connect import DropConnect
from .maxout import Maxout
from .stochastic_depth import StochasticDepth
from .whitening import Whitening

__all__ = ["DropConnect", "Maxout", "StochasticDepth", "Whitening"]
