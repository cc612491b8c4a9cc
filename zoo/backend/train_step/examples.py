"""Converts examples of a batch to NumPy arrays."""

import keras
import numpy as np


class CannotSample(Exception):
    """Raised if data cannot be sampled. The message states the reason."""


def head(tensor, size: int):
    """Returns the first `size` entries of a tensor or array along the first axis."""
    shape = tensor.shape
    return tensor[:size] if len(shape) and shape[0] > size else tensor


def to_array(tensor) -> np.ndarray:
    """Copies a dense tensor or array to a new NumPy array.

    Raises:
        CannotSample: If the entries are not numbers, or NumPy has no such numbers.
    """
    try:
        array = np.array(keras.ops.convert_to_numpy(tensor))
    except TypeError:
        raise CannotSample(f"It contains the dtype {tensor.dtype}.") from None
    if array.dtype.kind in "OSU":
        raise CannotSample("It contains strings or other objects, not only numbers.")
    return array


def unsupported(value) -> CannotSample:
    """Returns the error to raise for a value that is not a dense tensor or array."""
    return CannotSample(f"It contains an object of type `{type(value).__name__}`.")
