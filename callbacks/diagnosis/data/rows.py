"""Compares the examples of a dataset with each other."""

import keras
import numpy as np


class SeenRows:
    """Remembers examples, to notice when the data begins again."""

    def __init__(self):
        self._seen: set[int] = set()

    def repeats(self, part) -> bool:
        """Adds a batch, and returns whether its examples had all been seen before.

        Equal examples inside of a batch, as in small discrete tables, show that
        examples are equal by chance.
        """
        rows = row_hashes(part)
        distinct = set(rows)
        is_repeated = len(distinct) == len(rows) and distinct <= self._seen
        self._seen |= distinct
        return is_repeated


def row_hashes(part) -> list[int]:
    """Returns a hash of each example of an array or a structure of arrays."""
    arrays = [one for one in keras.tree.flatten(part) if one is not None]
    rows = zip(*arrays, strict=True)
    return [hash(tuple(_bytes(one) for one in row)) for row in rows]


def _bytes(value) -> bytes:
    array = np.asarray(value)
    if array.dtype.kind == "O":
        return repr(array.tolist()).encode()
    return array.tobytes()
