"""The state of a model in training: variables, `trainable` flags and History."""

from collections.abc import Iterable, Iterator

import keras
import numpy as np

from zoo.backend import local_copies
from zoo.backend.keras_internals import (
    compiled_loss,
    flatten_layers,
    own_trainable_variables,
    set_own_trainable,
)


def state_variables(model) -> list:
    """Returns all variables that a training step reads or assigns, each of them once.

    These are the weights, the states of layers (including seeds), the variables of the
    optimizer (including averages, accumulated gradients and the loss scale), and the
    metrics. Under a distribution strategy, the copies of all replicas are returned.

    Args:
        model: Compiled model whose variables exist.
    """
    variables = [
        *model.variables,
        *model.optimizer.variables,
        *model.metrics_variables,
    ]
    unique = {id(variable): variable for variable in variables}.values()
    return [copy for variable in unique for copy in local_copies(model, variable)]


def specs(variables: list) -> list:
    """Returns the shape and the NumPy dtype of every variable."""
    found = []
    for variable in variables:
        # The dtype of the values, which may differ from that of the Keras variable.
        part = variable[:0] if len(variable.shape) else variable
        found.append([list(variable.shape), _to_numpy(part).dtype.name])
    return found


def values(variables: list) -> Iterator[np.ndarray]:
    """Yields the values one by one, because all copies would need twice the memory."""
    return map(_to_numpy, variables)


def assign(variables: list, arrays: Iterable[np.ndarray]) -> None:
    """Assigns an array to every variable."""
    for variable, array in zip(variables, arrays, strict=True):
        variable.assign(array)


def trainable_flags(model) -> list[list[bool]]:
    """Returns `trainable` of all layers and of their own weights."""
    return [
        [layer.trainable, *(v.trainable for v in own_trainable_variables(layer))]
        for layer in flatten_layers(model)
    ]


def set_trainable_flags(model, flags: list[list[bool]]) -> None:
    """Restores a result of `trainable_flags()`."""
    for layer, (own, *others) in zip(flatten_layers(model), flags, strict=True):
        set_own_trainable(layer, own)
        variables = own_trainable_variables(layer)
        for variable, trainable in zip(variables, others, strict=True):
            variable.trainable = trainable


def metrics_result(model) -> dict[str, float]:
    """Returns the values of the metrics as callbacks receive them."""
    results = model.get_metrics_result()
    return {name: float(_to_numpy(value)) for name, value in results.items()}


def history_state(history) -> dict:
    """Returns the records of a `History`."""
    return {"epoch": list(history.epoch), "history": _copied(history.history)}


def set_history(history, state: dict) -> None:
    """Restores a result of `history_state()`, in place."""
    history.epoch[:] = state["epoch"]
    history.history.clear()
    history.history.update(_copied(state["history"]))


def _to_numpy(value) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(value))


def _copied(history: dict) -> dict:
    return {name: list(values) for name, values in history.items()}


def compiled_objects(model) -> tuple:
    """Returns the objects that `compile` replaces."""
    return model.optimizer, compiled_loss(model)


def check_not_recompiled(model, objects: tuple) -> None:
    """Raises an error if a model was compiled since `compiled_objects()` was called.

    Raises:
        ValueError: If the model has a new optimizer or a new loss.
    """
    if any(a is not b for a, b in zip(compiled_objects(model), objects, strict=True)):
        raise ValueError(
            "The model was compiled during `fit`, so training cannot be saved: the "
            "program would resume it with the previous optimizer and loss. Expected a "
            "model that is compiled before `fit`.\nTrain in two calls to `fit`, with "
            "`compile` and a ResumeTraining with a separate `directory` for each."
        )
