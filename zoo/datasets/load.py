"""Any TFDS dataset, ready for `fit`."""

import logging
import math

import numpy as np

from ..utils.arguments import (
    check_choice,
    check_fraction,
    check_integer,
    check_shape,
    invalid_argument,
)
from . import tf_dataset
from .arrays import (
    Arrays,
    check_finite,
    check_labels,
    check_not_empty,
    image_scale,
    say_unscaled,
)
from .data import Data
from .features import read_features
from .order import Order
from .prepare import prepared_builder
from .source import Source
from .text import (
    learn_vocabulary,
    naming_bad_texts,
    text_vectorization,
    windows,
)

logger = logging.getLogger(__name__)

SHUFFLE_BUFFER = 10_000  # examples, at most, where the data do not fit into memory
READ_BATCH = 1024


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

    What the examples are is read from the features of the dataset. Mapped are: an
    image and a label; a table (a numeric tensor, or a dict of scalars and vectors:
    columns in the order of their names, categories one-hot) and a label or numeric
    target; a text and a label; and text alone, which makes a language model. A vector
    of booleans in the place of a label is several labels. A tensor of bool, uint8 or
    uint16 of shape `(height, width)` or `(height, width, channels)` is an image.

    The splits are those of the dataset. Where "test" is missing, it is the last fifth
    of train; where "validation" is missing, the last part of train. Neither depends
    on the seed. A text of one example is cut by characters.

    The train split is shuffled anew in every epoch, as a function of `seed` and of a
    counter that can be read and set: see `Order`.

    Args:
        name: A TFDS name, as in "mnist" or "wine_quality/white"; or one that ships
            with kerascope and needs no network: "digits", "diabetes".
        batch_size: Integer >= 1. Defaults to `128`.
        validation: Fraction of train that is held out where the dataset has no
            validation split, in [0, 1). With 0 there is none, not even the dataset's
            own. Defaults to `0.1`.
        seed: Integer >= 0, of the order of the train split. Defaults to `0`.
        data_dir: Folder of prepared TFDS datasets. Defaults to `None`: what
            `TFDS_DATA_DIR` says, or `~/tensorflow_datasets`. Datasets that ship with
            kerascope are prepared in its own cache (`KERASCOPE_DATA_DIR`) whatever
            it says.
        image_size: `(height, width)` to which images are resized. Defaults to
            `None`: they keep their size, which must be one for all.
        tokens: For texts: "word" or "character". Defaults to `None`: words for a
            text with a label, characters for text alone.
        vocabulary_size: For texts: the largest number of tokens, learnt from the
            train split, padding and unknown included. Defaults to `20_000`.
        sequence_length: For texts: number of tokens in an example; shorter texts
            are padded on the right, longer ones cut. Defaults to `256`.
        memory_limit: Bytes that the examples may take in memory. A larger dataset
            streams from disk, through a shuffle buffer, and the log says so; NaN and
            labels are then not checked in advance. Text alone is always held in
            memory. Defaults to 4 GiB.

    Returns:
        A `Data`: `train`, `validation` and `test` as `tf.data.Dataset`s, and the
        facts that a model needs to know.

    Raises:
        ValueError: If an argument is invalid, the dataset unknown, its features not
            of a kind that is mapped, a split empty, a value NaN, or a text without
            tokens or not in UTF-8.
        RuntimeError: If the dataset is not prepared and cannot be downloaded.
        ImportError: If TensorFlow or TFDS are not installed.

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
    facts = {"name": name, "order": order, "task": mapping.task}
    if mapping.kind == "language_model":
        tokens = tokens or "character"
        return _language_model(
            source, facts, batch_size, tokens, vocabulary_size, sequence_length
        )

    facts["feature_names"] = mapping.feature_names
    facts["class_names"] = mapping.class_names
    facts["num_outputs"] = mapping.num_targets or len(mapping.class_names or ())
    examples = {part: source.read(part) for part in source.parts}
    if mapping.kind == "text":
        tokens = tokens or "word"
        texts = examples["train"].map(lambda text, label: text).batch(READ_BATCH)
        vocabulary = learn_vocabulary(texts, tokens, vocabulary_size, name)
        facts["vocabulary"] = vocabulary
        facts["text_vectorization"] = lambda: text_vectorization(
            vocabulary, tokens, sequence_length
        )
        layer = text_vectorization(vocabulary, tokens, sequence_length)
        examples = {part: _tokenize(ds, layer) for part, ds in examples.items()}

    specs = examples["train"].element_spec
    is_image = mapping.kind == "image"
    scale = image_scale(specs[0].dtype.as_numpy_dtype) if is_image else None
    num_examples = sum(source.size(part) for part in source.parts)
    num_bytes = num_examples * sum(math.prod(s.shape) * s.dtype.size for s in specs)
    if num_bytes <= memory_limit:
        return _hold(source, examples, facts, batch_size, scale)
    logger.warning(
        "Dataset '%s' takes %.1f GiB, more than memory_limit=%.1f GiB: it streams from "
        "disk, shuffled in a buffer of %d examples at most.",
        name,
        num_bytes / 2**30,
        memory_limit / 2**30,
        SHUFFLE_BUFFER,
    )
    return _stream(source, examples, facts, batch_size, scale)


def _language_model(source, facts, batch_size, tokens, vocabulary_size, length) -> Data:
    import tensorflow as tf

    texts = {part: source.read_text(part) for part in source.parts}
    train = tf.data.Dataset.from_tensors([texts["train"]])
    vocabulary = learn_vocabulary(train, tokens, vocabulary_size, source.name)
    encode = text_vectorization(vocabulary, tokens, sequence_length=None)
    arrays = {}
    for part, text in texts.items():
        ids = np.asarray(encode(tf.constant([text])))[0]
        x, y = windows(ids, length)
        check_not_empty(
            len(x),
            part,
            f"Its text has {len(ids)} tokens, and a window takes sequence_length + 1 "
            f"= {length + 1} of them.",
        )
        arrays[part] = Arrays(x, y)
    return _in_memory(
        arrays,
        batch_size,
        vocabulary=vocabulary,
        text_vectorization=lambda: text_vectorization(vocabulary, tokens, None),
        num_outputs=len(vocabulary),
        **facts,
    )


def _tokenize(examples, layer):
    """Maps `(text, label)` to `(ids, label)`, in batches for speed."""
    import tensorflow as tf

    return (
        examples.batch(READ_BATCH)
        .map(lambda texts, labels: (tf.cast(layer(texts), tf.int32), labels))
        .unbatch()
    )


def _hold(source, examples, facts, batch_size, scale) -> Data:
    """Reads all examples into memory, and checks them."""
    with naming_bad_texts(source.name):
        arrays = {
            part: Arrays(*_to_arrays(ds, source.size(part)), scale)
            for part, ds in examples.items()
        }
    for part, held in arrays.items():
        where = f"{part} of '{source.name}'"
        check_finite(held.x, f"x of {where}")
        check_finite(held.y, f"y of {where}")
        if source.mapping.task == "classification":
            check_labels(held.y, facts["num_outputs"], where)
    say_unscaled(arrays["train"].x, f"inputs of '{source.name}'")
    return _in_memory(arrays, batch_size, **facts)


def _stream(source, examples, facts, batch_size, scale) -> Data:
    """Reads the examples from disk anew in every epoch."""
    sizes = {part: source.size(part) for part in examples}
    train = examples["train"]
    datasets = {
        part: tf_dataset.streamed(ds, sizes[part], batch_size, scale)
        for part, ds in examples.items()
        if part != "train"
    }
    datasets["train"] = tf_dataset.streamed(
        train,
        sizes["train"],
        batch_size,
        scale,
        order=facts["order"],
        buffer=min(SHUFFLE_BUFFER, sizes["train"]),
    )
    in_file_order = tf_dataset.streamed(train, sizes["train"], READ_BATCH, scale)
    return Data(
        datasets=datasets,
        sizes=sizes,
        input_shape=tuple(train.element_spec[0].shape),
        train_batches=in_file_order.as_numpy_iterator,
        **facts,
    )


def _in_memory(arrays: dict[str, Arrays], batch_size: int, **facts) -> Data:
    orders = {"train": facts["order"]}
    return Data(
        datasets={
            part: tf_dataset.in_memory(held, batch_size, orders.get(part))
            for part, held in arrays.items()
        },
        sizes={part: len(held) for part, held in arrays.items()},
        input_shape=arrays["train"].x.shape[1:],
        train_batches=arrays["train"].batches,
        **facts,
    )


def _to_arrays(examples, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads all examples into two arrays, without a second copy of them."""
    x_spec, y_spec = examples.element_spec
    x = np.empty((size, *x_spec.shape), x_spec.dtype.as_numpy_dtype)
    y = np.empty((size, *y_spec.shape), y_spec.dtype.as_numpy_dtype)
    start = 0
    for inputs, targets in examples.batch(READ_BATCH).as_numpy_iterator():
        stop = start + len(inputs)
        x[start:stop], y[start:stop] = inputs, targets
        start = stop
    return x, y
