"""Conversion of texts to token ids."""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np

PADDING, UNKNOWN = "", "[UNK]"  # ids 0 and 1, in every vocabulary


def text_vectorization(
    vocabulary: list[str], tokens: str, sequence_length: int | None
) -> keras.layers.TextVectorization:
    """Returns the layer that maps texts to token ids, right-padded with 0.

    Args:
        vocabulary: List of tokens, with padding at 0 and unknown at 1.
        tokens: "word" (lowercase, punctuation stripped, split at white space) or
            "character" (the unchanged text).
        sequence_length: Number of ids of each text; longer texts are truncated at
            the end. `None` keeps all ids, and pads each text to the longest of its
            batch.
    """
    return keras.layers.TextVectorization(
        **_splitting(tokens),
        output_sequence_length=sequence_length,
        vocabulary=vocabulary[2:],
        name="text_vectorization",
    )


def learn_vocabulary(texts, tokens: str, size: int, name: str) -> list[str]:
    """Returns the most frequent tokens in texts.

    Keras drops NUL characters at the end of a token. Such a token is not added to the
    vocabulary, and is mapped to unknown.

    Args:
        texts: `tf.data.Dataset` of batches of texts, in UTF-8.
        tokens: "word" or "character", as in `text_vectorization`.
        size: Maximum number of tokens, including padding and unknown.
        name: Name of the dataset, for messages.

    Returns:
        A list of strings: padding, unknown, then tokens by descending frequency, with
        ties in reverse alphabetical order.

    Raises:
        ValueError: If the texts contain no tokens.
    """
    layer = keras.layers.TextVectorization(**_splitting(tokens), max_tokens=size)
    with naming_bad_texts(name):
        layer.adapt(texts)
    # Keras reads the tokens through NumPy, which drops NUL characters at their end.
    learnt = map(str, layer.get_vocabulary()[2:])
    vocabulary = list(dict.fromkeys(token for token in learnt if token))
    if not vocabulary:
        raise ValueError(
            f"The texts of the train split of dataset '{name}' hold no {tokens}s. "
            "Expected texts to learn a vocabulary from. Received: empty texts, or only "
            "white space and punctuation.\n"
            "Is the right feature read as text? `tokens='character'` also counts white "
            "space and punctuation."
        )
    return [PADDING, UNKNOWN, *vocabulary]


@contextlib.contextmanager
def naming_bad_texts(name: str) -> Iterator[None]:
    """Names the dataset and the fix if `as_utf8` fails inside the context."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if "UnicodeTranscode" not in str(error):
            raise
        raise ValueError(
            f"A text of dataset '{name}' is not in UTF-8. Expected texts in UTF-8. "
            "Received: bytes of another encoding, such as Latin-1.\n"
            "Prepare the dataset with decoded texts: `data.decode('latin-1')` in its "
            "builder."
        ) from None


def as_utf8(text):
    """Returns a string tensor unchanged; its evaluation fails if it is not in UTF-8."""
    import tensorflow as tf

    return tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="strict")


def windows(ids: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cuts a long text into windows of tokens and of their next tokens.

    Windows follow each other without overlap. Tokens at the end that do not fill a
    window are dropped.

    Args:
        ids: Integer array of shape `(tokens,)`.
        length: Number of tokens in a window.

    Returns:
        `(x, y)`, int32 arrays of shape `(windows, length)`. `y` holds the token after
        each token of `x`.

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
