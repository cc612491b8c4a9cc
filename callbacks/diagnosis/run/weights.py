"""Copies of the weights at the start of a run, and what they show at its end."""

import math

import keras
import numpy as np

MAX_SAVED = 2**24  # entries of the initial weights that are kept, 64 MiB in float32
IDENTICAL = 1e-6  # difference between units, relative to their weights


def copy_weights(model: keras.Model) -> list[tuple[keras.Variable, np.ndarray]]:
    """Returns all variables with copies of their values; empty if these are large."""
    if sum(math.prod(one.shape) for one in model.variables) > MAX_SAVED:
        return []
    return [(one, np.array(keras.ops.convert_to_numpy(one))) for one in model.variables]


def as_tensors(weights: list[tuple[keras.Variable, np.ndarray]]) -> list[tuple]:
    """Returns variables with tensors, as `unchanged_state` takes them."""
    return [
        (one, keras.ops.convert_to_tensor(value, dtype=one.dtype))
        for one, value in weights
    ]


def identical_units(model: keras.Model) -> tuple[str, ...]:
    """Returns the names of trainable kernels whose units all have the same weights."""
    prefix = f"{model.name}/"
    return tuple(
        variable.path.removeprefix(prefix)
        for variable in model.trainable_variables
        if variable.path.endswith("kernel") and _has_identical_units(variable)
    )


def _has_identical_units(variable: keras.Variable) -> bool:
    if len(variable.shape) < 2 or variable.shape[-1] < 2:
        return False
    values = np.asarray(keras.ops.convert_to_numpy(variable))
    values = values.reshape(-1, values.shape[-1])
    # Two units tell in nearly all cases that the units differ.
    return _are_identical(values[:, :2]) and _are_identical(values)


def _are_identical(values: np.ndarray) -> bool:
    values = values.astype("float64")
    size = np.abs(values).max()
    return bool(size > 0 and np.abs(values - values[:, :1]).max() <= IDENTICAL * size)
