"""Loaders for TFDS datasets of images, numbers, labeled texts and unlabeled texts."""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .arrays import Arrays, check_not_empty, image_scale
from .data import Data
from .description import Description
from .order import Order
from .source import Source
from .storage import READ_BATCH, in_memory, store
from .text import learn_vocabulary, text_vectorization, windows


@dataclass(frozen=True)
class Options:
    """Groups the arguments of `load` that control how examples are read and stored."""

    batch_size: int
    order: Order
    tokens: str | None
    vocabulary_size: int
    sequence_length: int
    memory_limit: int

    @property
    def storage(self) -> dict:
        """Returns the options that are passed to `store` as keyword arguments."""
        return {
            "batch_size": self.batch_size,
            "order": self.order,
            "memory_limit": self.memory_limit,
        }


def load_images(source: Source, options: Options) -> Data:
    """Loads images, which are scaled to [0, 1] when a batch is read."""
    examples = source.read()
    x, _ = examples["train"].element_spec
    return store(
        examples,
        source.sizes,
        _description(source),
        scale=image_scale(x.dtype.as_numpy_dtype),
        held_out=source.held_out,
        **options.storage,
    )


def load_numbers(source: Source, options: Options) -> Data:
    """Loads tables and other numeric tensors."""
    return store(
        source.read(),
        source.sizes,
        _description(source),
        held_out=source.held_out,
        **options.storage,
    )


def load_texts(source: Source, options: Options) -> Data:
    """Loads labeled texts as token ids."""
    examples = source.read()
    tokens = options.tokens or "word"
    texts = examples["train"].map(lambda text, label: text).batch(READ_BATCH)
    vocabulary = learn_vocabulary(texts, tokens, options.vocabulary_size, source.name)

    def make_layer():
        return text_vectorization(vocabulary, tokens, options.sequence_length)

    layer = make_layer()
    description = dataclasses.replace(
        _description(source), vocabulary=vocabulary, text_vectorization=make_layer
    )
    return store(
        {split: _tokenize(each, layer) for split, each in examples.items()},
        source.sizes,
        description,
        held_out=source.held_out,
        **options.storage,
    )


def load_language_model(source: Source, options: Options) -> Data:
    """Loads unlabeled texts as windows of token ids and the ids of the next tokens."""
    import tensorflow as tf

    texts = source.read_texts()
    tokens = options.tokens or "character"
    train = tf.data.Dataset.from_tensors([texts["train"]])
    vocabulary = learn_vocabulary(train, tokens, options.vocabulary_size, source.name)

    def make_layer():
        return text_vectorization(vocabulary, tokens, sequence_length=None)

    encode, length = make_layer(), options.sequence_length
    arrays = {}
    for split, text in texts.items():
        ids = np.asarray(encode(tf.constant([text])))[0]
        x, y = windows(ids, length)
        check_not_empty(
            len(x),
            split,
            f"Its text has {len(ids)} tokens, but a window needs sequence_length + 1 "
            f"= {length + 1} tokens.",
        )
        arrays[split] = Arrays(x, y)
    description = Description(
        name=source.name,
        task="language_model",
        num_outputs=len(vocabulary),
        vocabulary=vocabulary,
        text_vectorization=make_layer,
    )
    return in_memory(arrays, description, options.batch_size, options.order)


LOADERS: dict[str, Callable[[Source, Options], Data]] = {  # keys: `Mapping.kind`
    "image": load_images,
    "table": load_numbers,
    "tensor": load_numbers,
    "text": load_texts,
    "language_model": load_language_model,
}


def _description(source: Source) -> Description:
    mapping = source.mapping
    return Description(
        name=source.name,
        task=mapping.task,
        num_outputs=mapping.num_targets or len(mapping.class_names or ()),
        class_names=mapping.class_names,
        **vars(mapping.columns),
    )


def _tokenize(examples, layer):
    """Converts `(text, label)` to `(ids, label)`, in batches for speed."""
    import tensorflow as tf

    return (
        examples.batch(READ_BATCH)
        .map(lambda texts, labels: (tf.cast(layer(texts), tf.int32), labels))
        .unbatch()
    )
