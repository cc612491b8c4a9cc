"""Layers that Keras lacks."""

from .log_mean_probability import LogMeanProbability
from .stochastic_depth import StochasticDepth

__all__ = ["LogMeanProbability", "StochasticDepth"]
