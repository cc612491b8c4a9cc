"""Conversion of logits to probabilities of the next token."""

import numpy as np


def next_probabilities(
    logits: np.ndarray, temperature: float = 1.0, top_k: int | None = None
) -> np.ndarray:
    """Returns the probability distribution from which the next token is sampled.

    Args:
        logits: Float array of shape `(vocabulary,)`. The first two tokens, padding and
            the unknown token, get probability 0.
        temperature: Number >= 0 by which the logits are divided. With 0, the most
            probable token gets probability 1. Defaults to `1.0`.
        top_k: Number of most probable tokens to keep; all other tokens get probability
            0. In case of ties, the tokens with the lowest ids are kept. Defaults to
            `None`: all tokens.

    Returns:
        A float64 array of shape `(vocabulary,)`.

    Example:

    >>> next_probabilities(np.log([5, 5, 1, 2, 1]), top_k=2).round(3).tolist()
    [0.0, 0.0, 0.333, 0.667, 0.0]
    >>> next_probabilities(np.log([5, 5, 1, 2, 1]), temperature=0).tolist()
    [0.0, 0.0, 0.0, 1.0, 0.0]
    """
    logits = np.array(logits, "float64")
    logits[:2] = -np.inf
    if temperature == 0:
        top_k, temperature = 1, 1.0
    order = np.argsort(-logits, kind="stable")
    logits[order[top_k:] if top_k else []] = -np.inf
    return np.exp(log_softmax((logits - logits.max()) / temperature))


def log_softmax(logits: np.ndarray) -> np.ndarray:
    """Returns the log-probabilities along the last axis, in float64."""
    logits = np.asarray(logits, "float64")
    logits = logits - logits.max(axis=-1, keepdims=True)
    return logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
