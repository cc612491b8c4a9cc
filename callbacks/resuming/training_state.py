"""The state of a model in training: variables, `trainable` flags and History."""

from collections.abc import Iterable, Iterator

import keras
import numpy as np

from zoo.backend import local_copies, shared_array
from zoo.backend.keras_internals import (
    compiled_loss,
    flatten_layers,
    own_trainable_variables,
    set_own_trainable,
)

from .errors import ResumeError


def check_optimizers(model) -> None:
    """Raises an error if an optimizer that belongs to a model has no variables yet.

    Such an optimizer creates its variables in the first step. This is too late to
    restore them.

    Raises:
        ResumeError: If an optimizer is not built.
    """
    for layer, name, optimizer in optimizers_of(model):
        # An inner model may be compiled, but is then not trained by its own optimizer.
        is_of_inner_model = layer is not model and name == "optimizer"
        if not optimizer.built and not is_of_inner_model:
            raise ResumeError(
                f"`{name}` of {layer.name} is an optimizer without variables, so its "
                "state could not be restored. Expected optimizers that are built "
                f"before `fit`.\nCall `{name}.build(variables)` with the variables "
                "that it updates."
            )


def state_variables(model) -> list:
    """Returns all variables that a training step reads or assigns, each of them once.

    These are the weights, the states of layers (including seeds), the variables of the
    optimizers (including averages, accumulated gradients and the loss scale), and the
    metrics. Optimizers that are attributes of the model or of a layer, or elements of
    such an attribute, are included. Under a distribution strategy, the copies of all
    replicas are returned.

    Args:
        model: Compiled model whose variables exist.
    """
    variables = [*model.variables, *model.metrics_variables]
    for _, _, optimizer in optimizers_of(model):
        variables += optimizer.variables
    unique = {id(variable): variable for variable in variables}.values()
    return [copy for variable in unique for copy in local_copies(model, variable)]


def check_same_variables(model, variables: list) -> None:
    """Raises an error if a model has created variables since `fit` began.

    Args:
        model: Model that is trained.
        variables: The previous result of `state_variables`.

    Raises:
        ResumeError: If the model has new variables.
    """
    known = {id(variable) for variable in variables}
    new = [each for each in state_variables(model) if id(each) not in known]
    if new:
        names = ", ".join(getattr(each, "path", each.name) for each in new[:9])
        raise ResumeError(
            "The model has created variables in the first step, so they could not be "
            "restored. Expected a model whose layers, metrics and optimizers are built "
            f"before `fit`. Received: a model that creates {names}"
        )


def optimizers_of(model) -> list[tuple]:
    """Returns `(layer, attribute, optimizer)` for all optimizers of a model."""
    found = []
    for layer in flatten_layers(model):
        for name, value in vars(layer).items():
            parts = [value]
            # Keras and TensorFlow keep lists of attributes under private names.
            if isinstance(value, dict | list | tuple) and not name.startswith("_"):
                parts = list(value.values() if isinstance(value, dict) else value)
            found += [
                (layer, name, part)
                for part in parts
                if isinstance(part, keras.optimizers.Optimizer)
            ]
    return found


def specs(variables: list) -> list:
    """Returns the shape and the NumPy dtype of every variable."""
    found = []
    for variable in variables:
        # The dtype of the values, which may differ from that of the Keras variable.
        part = variable[:0] if len(variable.shape) else variable
        value = np.asarray(keras.ops.convert_to_numpy(part))
        found.append([list(variable.shape), value.dtype.name])
    return found


def values(variables: list) -> Iterator[np.ndarray]:
    """Yields the values one by one, because all copies would need twice the memory."""
    return map(shared_array, variables)


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


def logs_of_epoch(model, step_logs: dict) -> dict:
    """Returns the logs of an epoch that ends now, as Keras computes them.

    Args:
        model: Model that is trained.
        step_logs: Logs of the last step. These are not the metrics if `train_step`
            returns something else.
    """
    metrics = model.get_metrics_result()
    return metrics if metrics.keys() == step_logs.keys() else step_logs


def history_state(history) -> dict:
    """Returns the records of a `History`."""
    return {"epoch": list(history.epoch), "history": _copied(history.history)}


def set_history(history, state: dict) -> None:
    """Restores a result of `history_state()`, in place."""
    history.epoch[:] = state["epoch"]
    history.history.clear()
    history.history.update(_copied(state["history"]))


def _copied(history: dict) -> dict:
    return {name: list(values) for name, values in history.items()}


def compiled_objects(model) -> tuple:
    """Returns the objects that `compile` replaces."""
    return model.optimizer, compiled_loss(model)


def check_not_recompiled(model, objects: tuple) -> None:
    """Raises an error if a model was compiled since `compiled_objects()` was called.

    Raises:
        ResumeError: If the model has a new optimizer or a new loss.
    """
    if any(a is not b for a, b in zip(compiled_objects(model), objects, strict=True)):
        raise ResumeError(
            "The model was compiled during `fit`, so training cannot be saved: the "
            "program would resume it with the previous optimizer and loss. Expected a "
            "model that is compiled before `fit`.\nTrain in two calls to `fit`, with "
            "`compile` and a ResumeTraining with a separate `directory` for each."
        )
