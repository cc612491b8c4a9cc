"""Texts as token ids."""

import keras
import numpy as np

PADDING, UNKNOWN = "", "[UNK]"  # ids 0 and 1, in every vocabulary


def text_vectorization(
    vocabulary: list[str], tokens: str, sequence_length: int | None
) -> keras.layers.TextVectorization:
    """Returns the layer that maps texts to token ids, right-padded with 0.

    Args:
        vocabulary: The tokens, with padding at 0 and unknown at 1.
        tokens: "word" (lower case, punctuation stripped, split at white space) or
            "character" (the text as it is).
        sequence_length: Number of ids of each text; longer ones are cut at the
            end. `None` keeps every text as long as it is, padded to the longest.
    """
    return keras.layers.TextVectorization(
        **_splitting(tokens),
        output_sequence_length=sequence_length,
        vocabulary=vocabulary[2:],
        name="text_vectorization",
    )


def learn_vocabulary(texts, tokens: str, size: int) -> list[str]:
    """Returns the most frequent tokens of texts.

    Args:
        texts: `tf.data.Dataset` of batches of texts.
        tokens: "word" or "character", as in `text_vectorization`.
        size: Largest number of tokens, padding and unknown included.

    Returns:
        A list of strings: padding, unknown, then tokens from frequent to rare; equal
        counts in reverse alphabetical order.
    """
    layer = keras.layers.TextVectorization(**_splitting(tokens), max_tokens=size)
    layer.adapt(texts)
    return [str(token) for token in layer.get_vocabulary()]


def windows(ids: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a long text into windows, each with the token that follows every token.

    Windows follow each other without overlap; what remains at the end and does not
    fill a window is left out.

    Args:
        ids: Integer array of shape `(tokens,)`.
        length: Number of tokens in a window.

    Returns:
        `(x, y)`, int32 arrays of shape `(windows, length)`; `y` is `x` one on.

    Example:

    >>> import numpy as np
    >>> x, y = windows(np.arange(8), length=3)
    >>> x.tolist(), y.tolist()
    ([[0, 1, 2], [3, 4, 5]], [[1, 2, 3], [4, 5, 6]])
    """
    count = max(0, (len(ids) - 1) // length)
    ids = ids[: count * length + 1].astype("int32")
    return ids[:-1].reshape(count, length), ids[1:].reshape(count, length)


def _splitting(tokens: str) -> dict:
    if tokens == "character":
        return {"standardize": None, "split": "character"}
    return {"standardize": "lower_and_strip_punctuation", "split": "whitespace"}
