"""Layers that Keras does not provide."""

from .batch_ensemble_dense import BatchEnsembleDense
from .categorical_embeddings import CategoricalEmbeddings
from .drop_connect import DropConnect
from .embedding_dropout import EmbeddingDropout
from .log_mean_probability import LogMeanProbability
from .maxout import Maxout
from .periodic_embeddings import PeriodicEmbeddings
from .piecewise_linear_embeddings import PiecewiseLinearEmbeddings
from .quantile_normalization import QuantileNormalization
from .reverse_sequence import ReverseSequence
from .sequence_pooling import SequencePooling
from .stochastic_depth import StochasticDepth
from .whitening import Whitening

__all__ = [
    "BatchEnsembleDense",
    "CategoricalEmbeddings",
    "DropConnect",
    "EmbeddingDropout",
    "LogMeanProbability",
    "Maxout",
    "PeriodicEmbeddings",
    "PiecewiseLinearEmbeddings",
    "QuantileNormalization",
    "ReverseSequence",
    "SequencePooling",
    "StochasticDepth",
    "Whitening",
]
