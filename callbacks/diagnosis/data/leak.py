"""Looks for validation examples among the training examples."""

from dataclasses import dataclass

import keras
import numpy as np

from .rows import row_hashes

MAX_EXAMPLES = 2000  # of validation
MIN_EXAMPLES = 20
# Training examples to compare with: hashing as many takes about a second.
MAX_BYTES, MAX_ROWS = 2**28, 2**18


@dataclass(frozen=True)
class Leak:
    """How many validation examples are in the training data as well.

    Attributes:
        share: Share of the validation examples that equal a training example.
        by_chance: Share of the training examples that equal another one, as in small
            discrete tables. Independent validation data has about the same share.
        examples: Number of validation examples that were compared.
        training_examples: Number of training examples that they were compared with.
    """

    share: float
    by_chance: float
    examples: int
    training_examples: int


def find_leak(x, validation_data) -> Leak | None:
    """Compares validation inputs with training inputs.

    Args:
        x: Argument `x` of `fit`.
        validation_data: Argument `validation_data` of `fit`.

    Returns:
        The result, or `None` if one of them is not an array or a structure of arrays,
        or if there are fewer than 20 examples.
    """
    if not isinstance(validation_data, tuple) or len(validation_data) not in (2, 3):
        return None
    others = validation_data[0]
    if not (_are_arrays(x) and _are_arrays(others)):
        return None
    size = max(1, sum(one[:1].nbytes for one in keras.tree.flatten(x)))
    number = min(MAX_ROWS, max(1, MAX_BYTES // size))
    training = row_hashes(_spread(x, number))
    validation = row_hashes(_spread(others, MAX_EXAMPLES))
    if min(len(training), len(validation)) < MIN_EXAMPLES:
        return None
    _, inverse, counts = np.unique(training, return_inverse=True, return_counts=True)
    return Leak(
        share=float(np.isin(validation, training).mean()),
        by_chance=float((counts[inverse] > 1).mean()),
        examples=len(validation),
        training_examples=len(training),
    )


def _are_arrays(part) -> bool:
    arrays = keras.tree.flatten(part)
    return bool(arrays) and all(
        isinstance(one, np.ndarray) and one.ndim and one.dtype.kind in "biuf"
        for one in arrays
    )


def _spread(part, number: int):
    """Returns evenly spread examples of a structure of arrays."""

    def take(array):
        if len(array) <= number:
            return array
        return array[np.linspace(0, len(array) - 1, number).astype("int64")]

    return keras.tree.map_structure(take, part)
