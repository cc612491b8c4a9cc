"""Mistakes in the data, and healthy data that look unusual.

Each function changes arrays in place. A corruption that changes the inputs changes them
in all splits, as the mistake of a program would, unless its description says otherwise.
The test data are never corrupted in any other way: they show what the model is worth.
"""

from collections.abc import Callable

import numpy as np

from .arrays import Arrays

CORRUPTIONS: dict[str, Callable[[Arrays, np.random.Generator], None]] = {}


def corruption(function):
    CORRUPTIONS[function.__name__] = function
    return function


@corruption
def raw_inputs(arrays, rng):
    """Inputs in their original units: pixels from 0 to 255, columns as measured."""
    scale, shift = arrays.scale, arrays.shift
    arrays.change_inputs(lambda x: np.float32(x * scale + shift))


@corruption
def inputs_times_1000(arrays, rng):
    arrays.change_inputs(lambda x: np.float32(1000 * x))


@corruption
def inputs_far_from_zero(arrays, rng):
    arrays.change_inputs(lambda x: np.float32(x + 300))


@corruption
def inputs_divided_twice(arrays, rng):
    arrays.change_inputs(lambda x: np.float32(x / 255 / 255))


@corruption
def one_huge_column(arrays, rng):
    """One irrelevant column, such as an identifier, with values of about 10,000."""

    def add(x):
        return np.hstack([x, rng.uniform(0, 20_000, (len(x), 1))]).astype("float32")

    arrays.change_inputs(add)


@corruption
def inputs_scaled_for_training_only(arrays, rng):
    """Only the training inputs are scaled."""
    scale, shift = arrays.scale, arrays.shift
    for name in ("x_val", "x_test"):
        setattr(arrays, name, np.float32(getattr(arrays, name) * scale + shift))


@corruption
def tokens_divided(arrays, rng):
    """Token ids are scaled to [0, 1], although an embedding follows."""
    arrays.change_inputs(lambda x: np.float32(x / arrays.tokens))


@corruption
def inputs_constant(arrays, rng):
    """All examples are copies of the first one, also in validation and test."""
    arrays.change_inputs(lambda x: np.repeat(x[:1], len(x), axis=0))


@corruption
def few_distinct_examples(arrays, rng):
    """The training examples are copies of 12 examples."""
    rows = np.arange(len(arrays.x)) % 12
    arrays.x, arrays.y = arrays.x[rows], arrays.y[rows]


@corruption
def missing_inputs(arrays, rng):
    """A few training inputs are NaN."""
    arrays.x = arrays.x.copy()
    rows = rng.choice(len(arrays.x), 5, replace=False)
    arrays.x.reshape(len(arrays.x), -1)[rows, 3] = np.nan


@corruption
def missing_targets(arrays, rng):
    arrays.y = arrays.y.copy()
    arrays.y[rng.choice(len(arrays.y), 5, replace=False)] = np.nan


@corruption
def infinite_inputs(arrays, rng):
    """A few training inputs are infinite, such as the logarithm of 0."""
    arrays.x = arrays.x.copy()
    rows = rng.choice(len(arrays.x), 5, replace=False)
    arrays.x.reshape(len(arrays.x), -1)[rows, 3] = -np.inf


@corruption
def shuffled_targets(arrays, rng):
    """The training targets are shuffled without their inputs."""
    arrays.y = rng.permutation(arrays.y)


@corruption
def shuffled_everywhere(arrays, rng):
    """Training and validation targets are shuffled without their inputs."""
    arrays.y, arrays.y_val = rng.permutation(arrays.y), rng.permutation(arrays.y_val)


@corruption
def rolled_targets(arrays, rng):
    """Inputs and targets are off by one row, in training and in validation."""
    arrays.y, arrays.y_val = np.roll(arrays.y, 1, 0), np.roll(arrays.y_val, 1, 0)


@corruption
def constant_targets(arrays, rng):
    """A wrong column was read: all targets are equal."""
    arrays.y, arrays.y_val = arrays.y * 0, arrays.y_val * 0


@corruption
def raw_targets(arrays, rng):
    """Targets of about 1,000 (as prices are) with the same deviation."""
    arrays.change_targets(lambda y: np.float32(1000 * y + 3000))


@corruption
def targets_far_from_zero(arrays, rng):
    """Targets around 10,000 with a deviation of 10."""
    arrays.change_targets(lambda y: np.float32(10 * y + 10_000))


@corruption
def one_infinite_target(arrays, rng):
    arrays.y = arrays.y.copy()
    arrays.y[7] = np.inf


@corruption
def labels_plus_and_minus(arrays, rng):
    """Binary labels -1 and 1, as in a support vector machine."""
    arrays.y, arrays.y_val = 2 * arrays.y - 1, 2 * arrays.y_val - 1


@corruption
def labels_from_one(arrays, rng):
    """Classes 1 to C instead of 0 to C - 1, in training and validation."""
    arrays.y, arrays.y_val = arrays.y + 1, arrays.y_val + 1


@corruption
def labels_in_percent(arrays, rng):
    """Labels 0 and 100 instead of 0 and 1."""
    arrays.y, arrays.y_val = 100 * arrays.y, 100 * arrays.y_val


@corruption
def sorted_by_target(arrays, rng):
    order = np.argsort(arrays.y.reshape(len(arrays.y), -1)[:, 0], kind="stable")
    arrays.x, arrays.y = arrays.x[order], arrays.y[order]


@corruption
def leaked_validation(arrays, rng):
    """The validation examples are part of the training examples, three times."""
    arrays.x = np.concatenate([arrays.x, *[arrays.x_val] * 3])
    arrays.y = np.concatenate([arrays.y, *[arrays.y_val] * 3])


@corruption
def wrong_labels(arrays, rng):
    """A quarter of the training and validation labels are random."""
    for name in ("y", "y_val"):
        y = getattr(arrays, name).copy()
        wrong = rng.random(len(y)) < 0.25
        y[wrong] = rng.permutation(y)[wrong]
        setattr(arrays, name, y)


@corruption
def noisy_targets(arrays, rng):
    """Noise in the training and validation targets, as strong as the signal."""
    for name in ("y", "y_val"):
        y = getattr(arrays, name)
        setattr(arrays, name, y + np.float32(rng.normal(size=y.shape)))


@corruption
def imbalanced(arrays, rng):
    """Most of the training and validation examples of class 1 are missing."""
    for x, y in (("x", "y"), ("x_val", "y_val")):
        values = getattr(arrays, y)
        kept = (values != 1) | (rng.random(len(values)) < 0.15)
        setattr(arrays, x, getattr(arrays, x)[kept])
        setattr(arrays, y, values[kept])


@corruption
def scrambled_images(arrays, rng):
    """Training images are reshaped in the wrong order, which mixes all examples."""
    shape = arrays.x.shape
    flat = arrays.x.reshape(len(arrays.x), -1)
    arrays.x = np.ascontiguousarray(flat.T).reshape(shape)
