"""Conversion of texts to token ids."""

import contextlib
from collections.abc import Iterator

import keras
import numpy as np

PADDING, UNKNOWN = "", "[UNK]"  # ids 0 and 1 in every vocabulary


def text_vectorization(
    vocabulary: list[str], tokens: str, sequence_length: int | None
) -> keras.layers.TextVectorization:
    """Returns a layer that converts texts to token ids, padded with 0 on the right.

    Args:
        vocabulary: List of tokens. Padding has index 0, and the unknown token has
            index 1.
        tokens: Unit into which texts are split: "word" (texts are converted to
            lowercase, stripped of punctuation and split at whitespace) or "character"
            (texts are otherwise unchanged).
        sequence_length: Number of ids per text. Longer texts are truncated at the end.
            If `None`, all ids are kept, and each text is padded to the length of the
            longest text in its batch.
    """
    return keras.layers.TextVectorization(
        **_splitting(tokens),
        output_sequence_length=sequence_length,
        vocabulary=vocabulary[2:],
        name="text_vectorization",
    )


def learn_vocabulary(texts, tokens: str, size: int, name: str) -> list[str]:
    """Returns a vocabulary of the most frequent tokens in the texts.

    Keras removes NUL characters from the end of each token in a vocabulary. Tokens that
    end in NUL are therefore never in the vocabulary, and are treated as unknown.

    Args:
        texts: `tf.data.Dataset` of batches of texts, in UTF-8.
        tokens: "word" or "character", as in `text_vectorization`.
        size: Maximum number of tokens, including padding and the unknown token.
        name: Name of the dataset in error messages.

    Returns:
        A list of strings: padding, the unknown token, and then the other tokens by
        descending frequency, with ties in reverse alphabetical order.

    Raises:
        ValueError: If the texts contain no tokens or are not encoded in UTF-8.
    """
    layer = keras.layers.TextVectorization(**_splitting(tokens), max_tokens=size)
    with naming_bad_texts(name):
        layer.adapt(texts)
    # Keras reads the tokens through NumPy, which drops trailing NUL characters.
    learnt = map(str, layer.get_vocabulary()[2:])
    vocabulary = list(dict.fromkeys(token for token in learnt if token))
    if not vocabulary:
        raise ValueError(
            f"The texts of the train split of dataset '{name}' hold no {tokens}s. "
            "Expected texts to learn a vocabulary from. Received: empty texts, or only "
            "whitespace and punctuation.\n"
            "Is the right feature used as the text? With `tokens='character'`, "
            "whitespace and punctuation also count as tokens."
        )
    return [PADDING, UNKNOWN, *vocabulary]


@contextlib.contextmanager
def naming_bad_texts(name: str) -> Iterator[None]:
    """Converts errors of `as_utf8` inside the context to one that names the dataset."""
    import tensorflow as tf

    try:
        yield
    except tf.errors.InvalidArgumentError as error:
        if "UnicodeTranscode" not in str(error):
            raise
        raise ValueError(
            f"A text of dataset '{name}' is not in UTF-8. Expected texts in UTF-8. "
            "Received: bytes in a different encoding, such as Latin-1.\n"
            "Decode the texts in the builder of the dataset, for example with "
            "`data.decode('latin-1')`, and prepare the dataset again."
        ) from None


def as_utf8(text):
    """Returns a string tensor unchanged, and checks that the text is in UTF-8.

    The check is performed when the returned tensor is evaluated.
    """
    import tensorflow as tf

    return tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="strict")


def windows(ids: np.ndarray, length: int) -> tuple[np.ndarray, np.ndarray]:
    """Cuts the token ids of a long text into windows of inputs and next tokens.

    Windows are consecutive and do not overlap. Tokens at the end that do not fill a
    window are dropped.

    Args:
        ids: Integer array of shape `(tokens,)`.
        length: Number of tokens in a window.

    Returns:
        `(x, y)`, int32 arrays of shape `(windows, length)`. `y` contains the token that
        follows each token of `x`.

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
