"""File with a search and its data, which each worker reads once.

Large arrays are not copied when the file is read, but mapped into memory. All workers
of a machine share that memory until they modify it.
"""

import functools
import io
import mmap
import pickle
from pathlib import Path
from typing import Any

import cloudpickle

from zoo.datasets import Data, Order, load
from zoo.datasets.loaded_part import loaded_part

from ..training.tf_datasets import is_tf_dataset

ALIGNMENT = 64  # bytes


class UnsentDataset(TypeError):
    """A `tf.data.Dataset` that was not made by `zoo.datasets.load`."""


def packed(value) -> bytes:
    """Pickles a value for `unpacked`.

    Raises:
        UnsentDataset: If the value contains a `tf.data.Dataset` that was not returned
            by `zoo.datasets.load`.
        Exception: If a part of the value cannot be pickled.
    """
    buffers: list[pickle.PickleBuffer] = []
    body = io.BytesIO()
    _Pickler(body, protocol=5, buffer_callback=buffers.append).dump(value)
    file, index = io.BytesIO(), []
    for part in (body.getbuffer(), *(buffer.raw() for buffer in buffers)):
        file.write(bytes(-file.tell() % ALIGNMENT))
        index.append((file.tell(), part.nbytes))
        file.write(part)
    end = pickle.dumps(index)
    file.write(end + len(end).to_bytes(8, "little"))
    return file.getvalue()


def unpacked(path: Path) -> Any:
    """Reads a file with a result of `packed()`."""
    with open(path, "rb") as file:
        # Arrays can be modified: a copy of the page is made, and the file is unchanged.
        contents = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY))
    size = int.from_bytes(contents[-8:], "little")
    index = pickle.loads(contents[-8 - size : -8])
    body, *buffers = (contents[start : start + size] for start, size in index)
    return pickle.loads(body, buffers=buffers)


class _Pickler(cloudpickle.Pickler):
    """Pickles datasets that `load` has returned as the arguments of `load`."""

    def reducer_override(self, obj):
        is_dataset = is_tf_dataset(obj)
        if is_dataset or isinstance(obj, Data | Order):
            part = loaded_part(obj)
            if part is not None:
                return _load_part, (part.arguments, part.name)
        if is_dataset:
            raise UnsentDataset(repr(obj))
        return super().reducer_override(obj)


def _load_part(arguments: tuple, name: str):
    data = _load(arguments)
    return data if name == "data" else getattr(data, name)


@functools.lru_cache
def _load(arguments: tuple) -> Data:
    """Loads a dataset once per process, so that its parts share one `Order`."""
    return load(**dict(arguments))
