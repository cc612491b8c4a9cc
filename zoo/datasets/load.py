"""Loads TFDS datasets and prepares them for `fit`."""

import os

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
from .loaded_part import remember_call
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
    """Loads a TFDS dataset and prepares it for `fit`.

    The features of the dataset determine the task. Supported datasets contain:

    - images with a label. A tensor of dtype bool, uint8 or uint16 and shape
      `(height, width)` or `(height, width, channels)` is also treated as an image;
    - numeric tensors, or tables (a vector, or a dict of scalars and vectors), with a
      label or a numeric target. The columns of a dict are sorted by name, and
      categories are one-hot encoded;
    - texts with a label;
    - texts without a label, for a language model.

    If the label is a vector of two or more booleans, the task is multi-label
    classification.

    The "train", "validation" and "test" splits of the dataset are used. If the dataset
    has no "test" split, the last fifth of the train split becomes the test split. If it
    has no "validation" split, examples from the end of the remaining train split are
    held out. The choice of these examples does not depend on `seed`. TFDS stores most
    datasets in random order; if the targets are sorted, an error is raised. If the
    train split for a language model is a single text, characters are held out instead
    of examples.

    The train split is reshuffled in every epoch. The order is determined by `seed` and
    by a counter that can be read and set; see `Order`.

    Args:
        name: Name of a TFDS dataset, such as "mnist" or "wine_quality/white". The
            datasets "digits" and "diabetes" ship with kerascope and require no
            download.
        batch_size: Integer >= 1. Defaults to `128`.
        validation: Fraction of the train split, in [0, 1), to hold out if the dataset
            has no validation split. If 0, no validation split is returned, even if
            the dataset provides one. Defaults to `0.1`.
        seed: Integer >= 0 that determines the order of the train split. Defaults to
            `0`.
        data_dir: Folder of prepared TFDS datasets. Defaults to `None`:
            `TFDS_DATA_DIR` if set, otherwise `~/tensorflow_datasets`. The argument is
            ignored for datasets that ship with kerascope, which are prepared in
            kerascope's own cache (`KERASCOPE_DATA_DIR`).
        image_size: `(height, width)` to which images are resized. Defaults to
            `None`: images are not resized and must all have the same size.
        tokens: Unit into which texts are split, "word" or "character". Defaults to
            `None`: words for texts with a label, characters for a language model.
        vocabulary_size: Maximum number of tokens in the vocabulary of texts, including
            padding and the unknown token. The vocabulary is learned from the train
            split. Defaults to `20_000`.
        sequence_length: For texts, the number of tokens per example. Shorter texts are
            padded on the right, and longer texts are truncated. The text of a language
            model is cut into windows of this length. Defaults to `256`.
        memory_limit: Maximum size of the examples in memory, in bytes. A larger
            dataset is streamed from disk through a shuffle buffer. In this case, a
            warning is logged, and the examples are not checked for NaN, invalid labels
            or their order. The text of a language model is always kept in memory.
            Defaults to 4 GiB.

    Returns:
        A `Data` whose splits are `tf.data.Dataset`s, with the properties needed to
        build a model.

    Raises:
        ValueError: If an argument is invalid, the dataset is unknown, its features
            are not supported, a split is empty, a value is NaN or infinite, a label
            is invalid, the texts contain no tokens or are not encoded in UTF-8, or
            examples are held out although the targets are sorted.
        RuntimeError: If the dataset is not prepared and cannot be downloaded.
        OSError: If kerascope's cache is not writable.
        ImportError: If TensorFlow or TFDS is not installed.

    Example:

    >>> from zoo import datasets
    >>> data = datasets.load("digits", batch_size=32)
    >>> data
    <Data 'digits': classification of inputs (8, 8, 1) into 10 outputs; \
1,294 train, 144 validation, 359 test>
    """
    if not isinstance(name, str) or not name:
        raise invalid_argument("name", "the name of a dataset as a string", name)
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
    arguments = {
        "name": name,
        "batch_size": batch_size,
        "validation": validation,
        "seed": seed,
        "data_dir": None if data_dir is None else os.path.abspath(data_dir),
        "image_size": None if image_size is None else tuple(image_size),
        "tokens": tokens,
        "vocabulary_size": vocabulary_size,
        "sequence_length": sequence_length,
        "memory_limit": memory_limit,
    }
    return remember_call(LOADERS[mapping.kind](source, options), arguments)
