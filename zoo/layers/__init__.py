"""Layers that Keras lacks."""

from .embedding_dropout import EmbeddingDropout
from .reverse_sequence import ReverseSequence
from .sequence_pooling import SequencePooling
from .stochastic_depth import StochasticDepth

__all__ = ["EmbeddingDropout", "ReverseSequence", "SequencePooling", "StochasticDepth"]
