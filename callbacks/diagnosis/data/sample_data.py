"""Takes a sample of the data: arrays, or the first batches of a dataset."""

import itertools
from dataclasses import dataclass
from typing import Any

import keras
import numpy as np

from zoo.utils.arguments import invalid_argument

from .rows import SeenRows

MAX_EXAMPLES = 2048  # enough to estimate shares to within 2 percentage points
MAX_NUMBERS = 2**24  # of all arrays together, 64 MiB in float32


@dataclass(frozen=True, eq=False)
class Sample:
    """Examples of a dataset as NumPy arrays.

    Attributes:
        x: Inputs, in the structure that the model takes.
        y: Targets, or `None`.
        sample_weight: Weights of the examples, or `None`.
        batch_sizes: Sizes of the batches that the examples come from, in order.
            Empty if the order says nothing, as for arrays, which `fit` shuffles.
        batch_size: Number of examples in a batch, or `None` if unknown.
        size: Number of examples in the whole dataset, or `None` if unknown.
    """

    x: Any
    y: Any = None
    sample_weight: Any = None
    batch_sizes: tuple[int, ...] = ()
    batch_size: int | None = None
    size: int | None = None

    def __len__(self) -> int:
        return len(keras.tree.flatten(self.x)[0])

    @property
    def shapes(self) -> list[tuple]:
        """Shapes of all arrays, without the axis of examples."""
        parts = keras.tree.flatten((self.x, self.y, self.sample_weight))
        return [() if part is None else np.shape(part)[1:] for part in parts]

    def first(self, number: int) -> "Sample":
        """Returns a sample with the first examples."""
        return self.take(slice(number))

    def batches(self, size: int | None) -> list["Sample"]:
        """Returns batches of equal size, without the examples that are left over.

        Args:
            size: Number of examples in a batch. `None`, or a number that the sample
                does not have, makes one batch of all examples.
        """
        if size is None or size >= len(self):
            return [self]
        starts = range(0, len(self) - size + 1, size)
        return [self.take(slice(start, start + size)) for start in starts]

    def take(self, rows) -> "Sample":
        """Returns a sample with the examples at the given indices."""
        parts = [
            _map(lambda array: array[rows], part)
            for part in (self.x, self.y, self.sample_weight)
        ]
        return Sample(
            parts[0], parts[1], parts[2], batch_size=self.batch_size, size=self.size
        )


def take_sample(x, y=None, sample_weight=None, *, batch_size: int = 32) -> Sample:
    """Takes up to 2,048 examples.

    From arrays, the examples are drawn at random, because `fit` shuffles arrays. From a
    dataset, they are those of the first batches, until the dataset repeats itself.

    Args:
        x: Array, structure of arrays, or dataset of batches.
        y: Targets if `x` is not a dataset. Defaults to `None`.
        sample_weight: Weights if `x` is not a dataset. Defaults to `None`.
        batch_size: Batch size that `fit` will use for arrays. Defaults to `32`.

    Raises:
        ValueError: If an argument is invalid, or the dataset is empty.
    """
    if is_dataset(x):
        if y is not None or sample_weight is not None:
            raise invalid_argument(
                "y" if y is not None else "sample_weight",
                "no targets or weights next to a dataset, which contains its own",
                y if y is not None else sample_weight,
            )
        return _from_batches(x)
    parts = [_arrays(name, part) for name, part in (("x", x), ("y", y))]
    parts.append(_arrays("sample_weight", sample_weight))
    sizes = {len(array) for array in keras.tree.flatten(parts) if array is not None}
    if len(sizes) != 1 or 0 in sizes:
        raise invalid_argument(
            "x",
            "arrays `x`, `y` and `sample_weight` with the same number of examples, at "
            "least one",
            f"arrays of {' and '.join(map(str, sorted(sizes)))} examples",
            "Pass one target for each example.",
        )
    (size,) = sizes
    number = min(size, limit(Sample(*parts)))
    chosen = np.sort(np.random.default_rng(0).choice(size, number, replace=False))
    parts = [_map(lambda array: array[chosen], part) for part in parts]
    return Sample(parts[0], parts[1], parts[2], batch_size=batch_size, size=size)


def join(samples: list[Sample]) -> Sample:
    """Joins samples with the same structure, keeping their order."""
    parts = []
    for name in ("x", "y", "sample_weight"):
        values = [getattr(sample, name) for sample in samples]
        is_there = values[0] is not None
        parts.append(
            keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *values)
            if is_there
            else None
        )
    return Sample(
        parts[0],
        parts[1],
        parts[2],
        batch_sizes=tuple(map(len, samples)),
        batch_size=samples[0].batch_size,
        size=samples[0].size,
    )


def is_dataset(x) -> bool:
    """Returns whether `x` is a dataset of batches rather than arrays."""
    is_arrays = isinstance(x, dict | list | tuple) or hasattr(x, "shape")
    return not is_arrays and (hasattr(x, "__iter__") or hasattr(x, "__getitem__"))


def _from_batches(dataset) -> Sample:
    samples: list[Sample] = []
    seen = SeenRows()
    number = 0
    for batch in _batches_of(dataset):
        if not isinstance(batch, tuple | list) or not 1 <= len(batch) <= 3:
            batch = (batch,)
        parts = keras.utils.unpack_x_y_sample_weight(tuple(batch))
        arrays = [_arrays("x", part) for part in parts]
        sample = Sample(
            arrays[0], arrays[1], arrays[2], batch_size=len(Sample(arrays[0]))
        )
        if seen.repeats((sample.x, sample.y)):
            break
        samples.append(sample)
        number += len(sample)
        if number >= limit(sample):
            break
    if not samples:
        raise invalid_argument("x", "a dataset with at least one batch", "no batch")
    return join([one for one in samples if one.shapes == samples[0].shapes])


def _batches_of(dataset):
    """Returns an iterable of batches that does not reshuffle a `PyDataset`."""
    if isinstance(dataset, keras.utils.PyDataset):
        number = dataset.num_batches
        return (dataset[i] for i in (range(number) if number else itertools.count()))
    return dataset


def limit(sample: Sample) -> int:
    """Returns the number of such examples that may be kept."""
    parts = keras.tree.flatten((sample.x, sample.y, sample.sample_weight))
    size = sum(np.size(part) for part in parts if part is not None)
    return max(1, min(MAX_EXAMPLES, MAX_NUMBERS * len(sample) // max(1, size)))


def _arrays(name: str, part):
    if part is None:
        return None
    if isinstance(part, list) and part and not hasattr(part[0], "shape"):
        part = np.asarray(part)
    if hasattr(part, "to_numpy"):  # a pandas object
        part = part.to_numpy()
    arrays = keras.tree.map_structure(_to_array, part)
    if any(not array.ndim for array in keras.tree.flatten(arrays)):
        raise invalid_argument(name, "arrays with an axis of examples", part)
    return arrays


def _to_array(value) -> np.ndarray:
    if hasattr(value, "to_tensor"):  # a ragged tensor of TensorFlow
        value = value.to_tensor()
    if hasattr(value, "to_numpy"):
        return value.to_numpy()
    is_tensor = keras.ops.is_tensor(value)
    return np.asarray(keras.ops.convert_to_numpy(value) if is_tensor else value)


def _map(function, part):
    return None if part is None else keras.tree.map_structure(function, part)
