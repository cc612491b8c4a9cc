"""Losses that Keras does not provide."""

from .gaussian_nll import GaussianNLL
from .multiclass_hinge import MulticlassHinge

__all__ = ["GaussianNLL", "MulticlassHinge"]
