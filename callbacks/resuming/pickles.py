"""Pickles whose arrays are not copied."""

import pickle
from typing import Any


def dump(value) -> list:
    """Pickles an object.

    Returns:
        A list of the pickle and the buffers of all arrays in the object. The buffers
        share the memory of the arrays.
    """
    buffers: list[pickle.PickleBuffer] = []
    pickled = pickle.dumps(value, protocol=5, buffer_callback=buffers.append)
    return [pickled, *(buffer.raw() for buffer in buffers)]


def load(parts: list) -> Any:
    """Restores an object from a result of `dump`."""
    return pickle.loads(parts[0], buffers=parts[1:])
