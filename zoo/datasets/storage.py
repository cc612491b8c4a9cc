"""Storage of TFDS examples: in memory, or streamed from disk."""

import logging
import math
from collections.abc import Sequence

import numpy as np

from . import tf_dataset
from .arrays import Arrays, check_finite, check_labels, say_unscaled
from .data import Data
from .description import Description
from .order import Order
from .row_order import order_problem
from .text import naming_bad_texts

logger = logging.getLogger(__name__)

SHUFFLE_BUFFER = 10_000  # maximum number of examples in a shuffle buffer
READ_BATCH = 1024


def store(
    examples: dict,
    sizes: dict[str, int],
    description: Description,
    *,
    batch_size: int,
    order: Order,
    memory_limit: int,
    scale: float | None = None,
    held_out: Sequence[str] = (),
) -> Data:
    """Loads the examples into memory, or streams them from disk if they are too large.

    Args:
        examples: Dict that maps the name of each split to a `tf.data.Dataset` of
            unbatched examples `(x, y)`.
        sizes: Dict that maps the name of each split to its number of examples.
        description: `Description` of the examples.
        batch_size: Integer >= 1.
        order: The `Order` of the train split.
        memory_limit: Maximum size of the examples in memory, in bytes.
        scale: Factor by which `x` is multiplied, as in `Arrays`. Defaults to `None`.
        held_out: Names of the splits that are cut off the end of the stored train
            split, the last one first. Defaults to `()`.

    Returns:
        A `Data`.

    Raises:
        ValueError: If a value is not finite, a label is not one of the classes, a text
            is not encoded in UTF-8, or splits are held out although the targets are
            sorted. Streamed examples are not checked.
    """
    specs = examples["train"].element_spec
    num_bytes = sum(sizes.values()) * sum(
        math.prod(spec.shape) * spec.dtype.size for spec in specs
    )
    if num_bytes <= memory_limit:
        arrays = _read(examples, sizes, description, scale)
        _check_held_out(arrays, held_out, description.name)
        return in_memory(arrays, description, batch_size, order)
    logger.warning(
        "Dataset '%s' takes %.1f GiB, more than memory_limit=%.1f GiB: it streams from "
        "disk, shuffled in a buffer of at most %d examples.",
        description.name,
        num_bytes / 2**30,
        memory_limit / 2**30,
        SHUFFLE_BUFFER,
    )
    return _streamed(examples, sizes, description, batch_size, order, scale)


def in_memory(
    arrays: dict[str, Arrays], description: Description, batch_size: int, order: Order
) -> Data:
    """Returns a `Data` whose examples are kept in memory.

    Args:
        arrays: Dict that maps the name of each split to the `Arrays` of its examples.
        description: `Description` of the examples.
        batch_size: Integer >= 1.
        order: The `Order` of the train split.
    """
    orders = {"train": order}
    return Data(
        datasets={
            split: tf_dataset.in_memory(held, batch_size, orders.get(split))
            for split, held in arrays.items()
        },
        sizes={split: len(held) for split, held in arrays.items()},
        order=order,
        input_shape=arrays["train"].x.shape[1:],
        train_batches=arrays["train"].batches,
        **vars(description),
    )


def _streamed(examples, sizes, description, batch_size, order, scale) -> Data:
    """Returns a `Data` whose examples are read from disk in every epoch."""
    train = examples["train"]
    datasets = {
        split: tf_dataset.streamed(each, sizes[split], batch_size, scale)
        for split, each in examples.items()
        if split != "train"
    }
    datasets["train"] = tf_dataset.streamed(
        train,
        sizes["train"],
        batch_size,
        scale,
        order=order,
        buffer=min(SHUFFLE_BUFFER, sizes["train"]),
    )
    in_file_order = tf_dataset.streamed(train, sizes["train"], READ_BATCH, scale)
    return Data(
        datasets=datasets,
        sizes=sizes,
        order=order,
        input_shape=tuple(train.element_spec[0].shape),
        train_batches=in_file_order.as_numpy_iterator,
        **vars(description),
    )


def _read(examples, sizes, description, scale) -> dict[str, Arrays]:
    """Reads all examples into memory and checks them."""
    name = description.name
    with naming_bad_texts(name):
        arrays = {
            split: Arrays(*_to_arrays(each, sizes[split]), scale)
            for split, each in examples.items()
        }
    for split, held in arrays.items():
        where = f"{split} of '{name}'"
        check_finite(held.x, f"x of {where}")
        check_finite(held.y, f"y of {where}")
        if description.task == "classification":
            check_labels(held.y, description.num_outputs, where)
    say_unscaled(arrays["train"].x, f"inputs of '{name}'")
    return arrays


def _check_held_out(arrays: dict[str, Arrays], held_out, name: str) -> None:
    """Raises an error if the end of the stored train split does not represent it."""
    for index, split in enumerate(held_out):
        before = ["train", *reversed(held_out[index + 1 :])]
        rest = np.concatenate([arrays[each].y for each in before])
        problem = order_problem(rest, arrays[split].y)
        if problem:
            raise ValueError(
                f"Dataset '{name}' has no {split} split, and the end of train cannot "
                "be used instead. Expected examples in random order. Received: "
                f"{problem}\n"
                "Shuffle the arrays of `tfds.load`, and pass them to "
                "`datasets.from_arrays`."
            )


def _to_arrays(examples, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Reads all examples into two preallocated arrays, without making a second copy."""
    x_spec, y_spec = examples.element_spec
    x = np.empty((size, *x_spec.shape), x_spec.dtype.as_numpy_dtype)
    y = np.empty((size, *y_spec.shape), y_spec.dtype.as_numpy_dtype)
    start = 0
    for inputs, targets in examples.batch(READ_BATCH).as_numpy_iterator():
        stop = start + len(inputs)
        x[start:stop], y[start:stop] = inputs, targets
        start = stop
    return x, y
