"""Text generation and scoring with a trained language model."""

from .language_model import LanguageModel, next_probabilities

__all__ = ["LanguageModel", "next_probabilities"]
