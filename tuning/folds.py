"""The parts of cross-validation."""

import hashlib

import numpy as np
from sklearn.model_selection import KFold, StratifiedKFold

from zoo.arguments import invalid_argument
from zoo.datasets import ArrayDataset, Arrays, Order


def make_folds(folds: int, seed: int, x, y=None, validation_data=None) -> list[tuple]:
    """Cuts the training data into folds, each of which is validated on once.

    Classes are spread evenly. The folds are a function of the examples and the seed:
    the order in which a shuffled dataset gives them does not enter.

    Args:
        folds: Integer >= 2.
        seed: Integer >= 0.
        x: Array of inputs, or a dataset of batches `(x, y)`: of `zoo.datasets`, or a
            `tf.data.Dataset`, whose examples are then held in memory.
        y: Array of targets, where `x` is an array. Defaults to `None`.
        validation_data: `None`, since each fold has its own. Defaults to `None`.

    Returns:
        For each fold `(train, validation)`: arguments of `fit`, where `train` is a
        tuple, `(x, y)` or `(dataset,)`, and `validation` its `validation_data`.

    Raises:
        ValueError: If the data cannot be cut.
    """
    if validation_data is not None:
        expected = "None with `folds`, which cut validation data from the training data"
        raise invalid_argument("validation_data", expected, validation_data)
    if y is not None:
        x, y = np.asarray(x), np.asarray(y)
        return [
            ((x[train], y[train]), (x[validation], y[validation]))
            for train, validation in _split(folds, seed, y)
        ]
    arrays, batch_size = _arrays(x)
    return [
        (
            (ArrayDataset(_take(arrays, train), batch_size, Order(seed)),),
            ArrayDataset(_take(arrays, validation), batch_size),
        )
        for train, validation in _split(folds, seed, arrays.y)
    ]


def is_tf_dataset(x) -> bool:
    """Whether `x` is a `tf.data.Dataset`, without importing TensorFlow."""
    return any(
        each.__module__.startswith("tensorflow.") and each.__name__ == "DatasetV2"
        for each in type(x).__mro__
    )


def _split(folds: int, seed: int, y: np.ndarray):
    settings = {"n_splits": folds, "shuffle": True, "random_state": seed % 2**32}
    if len(y) < folds:
        raise invalid_argument("folds", f"at most {len(y)}, one per example", folds)
    if y.ndim == 1 and np.issubdtype(y.dtype, np.integer):
        _, counts = np.unique(y, return_counts=True)
        if counts.min() >= folds:
            return StratifiedKFold(**settings).split(np.zeros(len(y)), y)
    return KFold(**settings).split(y)


def _arrays(dataset) -> tuple[Arrays, int]:
    """All examples of a dataset, and the size of its batches."""
    if isinstance(dataset, ArrayDataset):
        return dataset.arrays, dataset.batch_size
    if not is_tf_dataset(dataset):
        raise invalid_argument(
            "x",
            "arrays `x` and `y`, or a dataset of `zoo.datasets` or `tf.data`, with "
            "`folds`",
            type(dataset).__name__,
        )
    batches = list(dataset.as_numpy_iterator())
    x, y = (np.concatenate(part) for part in zip(*batches, strict=True))
    # Such a dataset may be shuffled anew every time: this order is always the same.
    order = sorted(range(len(x)), key=lambda row: _digest(x[row], y[row]))
    return Arrays(x[order], y[order]), len(batches[0][1])


def _digest(x: np.ndarray, y: np.ndarray) -> bytes:
    return hashlib.sha256(x.tobytes() + np.asarray(y).tobytes()).digest()


def _take(arrays: Arrays, rows: np.ndarray) -> Arrays:
    return Arrays(arrays.x[rows], arrays.y[rows], arrays.scale)
