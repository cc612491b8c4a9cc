"""Compares the examples of a dataset with each other."""

import hashlib
from collections.abc import Iterable

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
    """Returns a hash of each example of an array or a structure of arrays.

    The hashes are the same in every process, so `ResumeTraining` can save them.
    """
    arrays = [one for one in keras.tree.flatten(part) if one is not None]
    rows = zip(*arrays, strict=True)
    return [_hash(map(_bytes, row)) for row in rows]


def _hash(parts: Iterable[bytes]) -> int:
    digest = hashlib.blake2b(digest_size=8)
    for part in parts:
        digest.update(part)
    return int.from_bytes(digest.digest(), "little")


def _bytes(value) -> bytes:
    array = np.asarray(value)
    if array.dtype.kind == "O":
        return repr(array.tolist()).encode()
    return array.tobytes()
