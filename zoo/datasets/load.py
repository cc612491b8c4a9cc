"""Loads TFDS datasets, ready for `fit`."""

from ..utils.arguments import (
    check_choice,
    check_fraction,
    check_integer,
    check_shape,
    invalid_argument,
)
from .data import Data
from .features import read_features
from .kinds import LOADERS, Options
from .order import Order
from .prepare import prepared_builder
from .source import Source


def load(
    name: str,
    *,
    batch_size: int = 128,
    validation: float = 0.1,
    seed: int = 0,
    data_dir=None,
    image_size: tuple[int, int] | None = None,
    tokens: str | None = None,
    vocabulary_size: int = 20_000,
    sequence_length: int = 256,
    memory_limit: int = 4 * 2**30,
) -> Data:
    """Loads a TFDS dataset, ready for `fit`.

    The features of the dataset determine the task. Supported are:

    - an image, and a label. A tensor of bool, uint8 or uint16 of shape
      `(height, width)` or `(height, width, channels)` is an image;
    - a numeric tensor, or a table (a dict of scalars and vectors), and a label or
      numeric target. Columns are sorted by name, and categories become one-hot;
    - a text, and a label;
    - only text, for a language model.

    A vector of booleans instead of a label stands for several labels.

    The splits are those of the dataset. If "test" is missing, it is the last fifth of
    train; if "validation" is missing, it is cut off the end of the remaining train
    split. Neither depends on the seed. If train is a single text, it is split by
    characters.

    The train split is reshuffled every epoch, as a function of `seed` and of a counter
    that can be read and set: see `Order`.

    Args:
        name: A TFDS name, such as "mnist" or "wine_quality/white"; or a dataset that
            ships with kerascope and needs no network: "digits" or "diabetes".
        batch_size: Integer >= 1. Defaults to `128`.
        validation: Fraction of train, in [0, 1), to hold out if the dataset has no
            validation split. With 0 there is no validation split, even if the dataset
            has one. Defaults to `0.1`.
        seed: Integer >= 0 that determines the order of the train split. Defaults to
            `0`.
        data_dir: Folder of prepared TFDS datasets. Defaults to `None`:
            `TFDS_DATA_DIR` if set, otherwise `~/tensorflow_datasets`. Datasets that
            ship with kerascope ignore it: they are prepared in the cache of kerascope
            (`KERASCOPE_DATA_DIR`).
        image_size: `(height, width)` to which images are resized. Defaults to
            `None`: images are not resized and must all have the same size.
        tokens: For texts: "word" or "character". Defaults to `None`: words for texts
            with labels, characters for a language model.
        vocabulary_size: For texts: maximum number of tokens, learned from the train
            split, including padding and unknown. Defaults to `20_000`.
        sequence_length: For texts: number of tokens in an example. Shorter texts are
            padded on the right, and longer texts are truncated; the text of a language
            model is cut into windows of this length. Defaults to `256`.
        memory_limit: Maximum size of the examples in memory, in bytes. A larger
            dataset streams from disk through a shuffle buffer, with a warning in the
            log, and without checks for NaN and invalid labels. The text of a language
            model is always held in memory. Defaults to 4 GiB.

    Returns:
        A `Data` with `train`, `validation` and `test` as `tf.data.Dataset`s, and the
        properties that a model depends on.

    Raises:
        ValueError: If an argument is invalid, the dataset is unknown, its features
            are not supported, a split is empty, a value is NaN or infinite, a label
            is invalid, or the texts contain no tokens or are not in UTF-8.
        RuntimeError: If the dataset is not prepared and cannot be downloaded.
        OSError: If the cache of kerascope is not writable.
        ImportError: If TensorFlow or TFDS is not installed.

    Example:

    >>> from zoo import datasets
    >>> data = datasets.load("digits", batch_size=32)
    >>> data
    <Data 'digits': classification of inputs (8, 8, 1) into 10 outputs; \
1,294 train, 144 validation, 359 test>
    """
    if not isinstance(name, str) or not name:
        raise invalid_argument("name", "the name of a dataset, a string", name)
    check_integer("batch_size", batch_size, minimum=1)
    check_fraction("validation", validation)
    order = Order(seed)
    if image_size is not None and len(check_shape("image_size", image_size)) != 2:
        raise invalid_argument("image_size", "(height, width)", image_size)
    check_choice("tokens", tokens, (None, "word", "character"))
    check_integer("vocabulary_size", vocabulary_size, minimum=3)
    check_integer("sequence_length", sequence_length, minimum=1)
    check_integer("memory_limit", memory_limit, minimum=0)

    builder = prepared_builder(name, data_dir)
    mapping = read_features(builder.info, image_size)
    source = Source(name, builder, mapping, validation)
    options = Options(
        batch_size=batch_size,
        order=order,
        tokens=tokens,
        vocabulary_size=vocabulary_size,
        sequence_length=sequence_length,
        memory_limit=memory_limit,
    )
    return LOADERS[mapping.kind](source, options)
