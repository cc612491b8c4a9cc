"""Text generation and scoring with a trained language model.

`token_reader` runs the model on a stream of tokens, and `next_token` converts logits
into probabilities.
"""

from .language_model import LanguageModel
from .next_token import next_probabilities

__all__ = ["LanguageModel", "next_probabilities"]
