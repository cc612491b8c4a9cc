"""Cross-validation folds of the training data."""

import hashlib

import keras
import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from zoo.datasets import ArrayDataset, Arrays, Order
from zoo.utils.arguments import invalid_argument

from .examples import Examples
from .fit_data import named_arguments
from .tf_datasets import is_endless, is_of_unknown_length, is_tf_dataset

DATA = ("x", "y", "sample_weight")


class Folds:
    """Splits the data of a call to `fit` into folds for cross-validation.

    Each fold serves as validation data once. If there is one integer label per example,
    and each class has at least `folds` examples, the folds are stratified. The folds
    depend on the examples and the seed, but not on the order in which a shuffled
    dataset yields the examples.

    Args:
        folds: Integer >= 2.
        seed: Integer >= 0.
        args: Positional arguments of `fit`. `x` is an array, a list or dict of arrays,
            or a dataset of batches `(x, y)` or `(x, y, sample_weight)`. A dataset must
            come from `zoo.datasets` or be a `tf.data.Dataset`. All examples of a
            `tf.data.Dataset` are loaded into memory. `y` and `sample_weight` are
            arrays, or lists or dicts of arrays.
        kwargs: Keyword arguments of `fit`.

    Raises:
        ValueError: If the data cannot be split.
    """

    def __init__(self, folds: int, seed: int, args: tuple, kwargs: dict):
        given = named_arguments(args, kwargs)
        self._positional = {
            name: value
            for name, value in named_arguments(args, {}).items()
            if name not in DATA
        }
        for name in ("validation_data", "validation_split"):
            value = given.get(name)
            if value is not None and not (name == "validation_split" and value == 0):
                expected = (
                    "None with `folds`, because the validation data is taken from the "
                    "training data"
                )
                raise invalid_argument(name, expected, value)
        x, y, weight = (given.get(name) for name in DATA)
        if y is None and weight is not None:
            expected = "None with a dataset, whose batches may contain the weights"
            raise invalid_argument("sample_weight", expected, weight)
        if y is None:
            self._splits = _cut_dataset(folds, seed, x, given.get("steps_per_epoch"))
        else:
            self._splits = _cut_arrays(folds, seed, x, y, weight)

    def arguments(self, index: int, kwargs: dict) -> tuple[tuple, dict]:
        """Returns the arguments of `fit` for one fold.

        Args:
            index: Index of the fold that serves as validation data, counted from 0.
            kwargs: Keyword arguments of `fit`. All of them except the data are kept.

        Returns:
            The positional arguments, `(x, y)` or `(dataset,)`, and a dict of the
            keyword arguments.
        """
        train, validation = self._splits[index]
        given = {**self._positional, **kwargs, "validation_data": validation}
        kept = {name: value for name, value in given.items() if name not in DATA}
        if len(train) == 3:
            *train, kept["sample_weight"] = train
        return tuple(train), kept


def _cut_arrays(folds: int, seed: int, x, y, weight) -> list[tuple]:
    """Splits arrays, or structures of arrays, into training and validation data.

    Returns:
        A list with a pair `(training_data, validation_data)` for each fold. Both
        elements are tuples `(x, y)` or `(x, y, sample_weight)`.
    """
    named = {"x": x, "y": y, "sample_weight": weight}
    data = {name: _arrays(each) for name, each in named.items() if each is not None}
    _check_sizes(data)
    examples = Examples(tuple(data.values()))
    return [
        (examples.batch(train), examples.batch(validation))
        for train, validation in _split(folds, seed, data["y"], len(examples))
    ]


def _cut_dataset(folds: int, seed: int, dataset, steps_per_epoch) -> list[tuple]:
    """Splits a dataset into training and validation data with the same batch size.

    Returns:
        A list with a pair `((training_dataset,), validation_dataset)` for each fold.
    """
    if isinstance(dataset, ArrayDataset):
        examples: Arrays | Examples = dataset.arrays
        batch_size = dataset.batch_size
    else:
        examples, batch_size = _read(dataset, steps_per_epoch)
    return [
        (
            (ArrayDataset(_take(examples, train), batch_size, Order(seed)),),
            ArrayDataset(_take(examples, validation), batch_size),
        )
        for train, validation in _split(folds, seed, examples.y, len(examples))
    ]


def _split(folds: int, seed: int, y, size: int):
    settings = {"n_splits": folds, "shuffle": True, "random_state": seed % 2**32}
    if size < folds:
        raise invalid_argument("folds", f"at most {size}, one per example", folds)
    rows = np.zeros(size)
    if isinstance(y, np.ndarray) and y.ndim == 1 and np.issubdtype(y.dtype, np.integer):
        _, counts = np.unique(y, return_counts=True)
        if counts.min() >= folds:
            return StratifiedKFold(**settings).split(rows, y)
    return KFold(**settings).split(rows)


def _arrays(given):
    """Converts a list or dict of arrays, or a list of numbers, to arrays."""
    if isinstance(given, dict):
        return {name: _arrays(each) for name, each in given.items()}
    is_list = isinstance(given, list | tuple)
    if is_list and given and all(len(getattr(a, "shape", ())) for a in given):
        return [_arrays(each) for each in given]
    return np.asarray(given)


def _check_sizes(data: dict) -> None:
    """Raises an error unless all arrays in `data` have the same number of examples."""
    leaves = [
        (name, np.shape(array))
        for name, each in data.items()
        for array in keras.tree.flatten(each)
    ]
    for name, shape in leaves:
        if not shape:
            expected = "arrays, or lists or dicts of arrays, if `y` and `folds` are set"
            raise invalid_argument(name, expected, data[name])
    sizes = {shape[0] for _, shape in leaves}
    if len(sizes) > 1:
        raise invalid_argument(
            "x",
            "as many examples in each array of `x`, `y` and `sample_weight` as in the "
            "others, if `folds` is set",
            [f"{name}: {shape[0]}" for name, shape in leaves],
        )


def _read(dataset, steps_per_epoch) -> tuple[Examples, int]:
    """Returns all examples of a `tf.data.Dataset`, and its batch size."""
    if not is_tf_dataset(dataset):
        raise invalid_argument(
            "x",
            "arrays `x` and `y`, or a dataset from `zoo.datasets` or `tf.data`, if "
            "`folds` is set",
            dataset,
        )
    is_unknown = is_of_unknown_length(dataset) and steps_per_epoch is not None
    if is_endless(dataset) or is_unknown:
        raise invalid_argument(
            "x",
            "a dataset that ends, because `folds` loads all examples into memory",
            "a dataset of unknown length with `steps_per_epoch`"
            if is_unknown
            else "a dataset that repeats forever",
            "Pass the dataset without `repeat()`. If TensorFlow does not know its "
            "length, use `dataset.apply(tf.data.experimental.assert_cardinality(n))`.",
        )
    batches = list(dataset.as_numpy_iterator())
    if (
        not batches
        or not isinstance(batches[0], tuple)
        or len(batches[0]) not in (2, 3)
    ):
        raise invalid_argument(
            "x",
            "a dataset of batches `(x, y)` or `(x, y, sample_weight)`, with `folds`",
            dataset.element_spec,
        )
    data = keras.tree.map_structure(lambda *arrays: np.concatenate(arrays), *batches)
    examples = Examples(data)
    # The dataset may reshuffle on every pass. Sorting by hash gives a fixed order.
    leaves = keras.tree.flatten(data)
    order = sorted(range(len(examples)), key=lambda row: _digest(leaves, row))
    batch_size = len(keras.tree.flatten(batches[0])[0])
    return Examples(examples.batch(order)), batch_size


def _digest(leaves: list[np.ndarray], row: int) -> bytes:
    return hashlib.sha256(b"".join(leaf[row].tobytes() for leaf in leaves)).digest()


def _take(examples, rows: np.ndarray):
    if isinstance(examples, Arrays):
        return Arrays(examples.x[rows], examples.y[rows], examples.scale)
    return Examples(examples.batch(rows))
