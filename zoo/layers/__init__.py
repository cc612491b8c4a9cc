"""Layers that Keras lacks."""

from .stochastic_depth import StochasticDepth

__all__ = ["StochasticDepth"]
