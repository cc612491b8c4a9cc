"""Copies of models that compute in float64."""

import contextlib
from collections.abc import Iterator

import keras

from .backend.keras_internals import compiled_loss, loss_weights
from .differentiation import float64_scope, loss_function
from .utils.arguments import invalid_argument
from .utils.copy_model import copy_model


@contextlib.contextmanager
def float64_copy(model: keras.Model) -> Iterator[keras.Model]:
    """Yields a copy of a compiled model that computes in float64.

    The copy has the weights and the losses of the model, and shares no state with it.
    Inside the context, float64 is the default dtype of Keras.

    Args:
        model: Compiled and built model whose layers can be recreated from their
            `get_config`.

    Raises:
        ValueError: If the model has no trainable weights or cannot be copied.
    """
    if not model.trainable_variables:
        raise invalid_argument("model", "one with trainable weights", model.name)
    with float64_scope():
        copy = copy_model(model, change_config=_in_float64)
        _compile_like(model, copy)
        yield copy


def loss_in_float64(model: keras.Model, copy: keras.Model, x, y, **settings):
    """Returns the loss of a copy as a function of its weights, and checks its dtype.

    Args:
        model: Model of the user, for the message of an error.
        copy: Copy of the model, from `float64_copy`.
        x: Batch of inputs.
        y: Batch of targets, or `None`.
        **settings: Keyword arguments of `loss_function`.

    Raises:
        ValueError: If a part of the copy does not compute in float64.
    """
    loss = loss_function(copy, x, y, **settings)
    variables = copy.trainable_variables
    value = loss([variable.value for variable in variables])
    for name, part in [("loss", value), *((each.path, each) for each in variables)]:
        if keras.backend.standardize_dtype(part.dtype) != "float64":
            raise invalid_argument(
                "model",
                "a model that computes in the dtype of its config",
                model.name,
                f"In the float64 copy, {name} has dtype {part.dtype}.",
            )
    return loss


def _compile_like(model: keras.Model, copy: keras.Model) -> None:
    """Compiles the copy with the losses of the model, recreated in float64.

    A new loss object has the default dtype, which is float64 inside the context.
    """
    if compiled_loss(model) is None:  # the whole loss comes from `add_loss`
        copy.compile("sgd")
        return
    loss = keras.tree.map_structure(_new_loss, model.loss)
    copy.compile("sgd", loss, loss_weights=loss_weights(model))


def _in_float64(config):
    """Returns a copy of a config with every float dtype replaced with float64."""
    if isinstance(config, dict):
        return {
            key: "float64"
            if key.endswith("dtype") and _is_float(value)
            else _in_float64(value)
            for key, value in config.items()
        }
    if isinstance(config, list | tuple):
        return type(config)(map(_in_float64, config))
    return config


def _is_float(dtype) -> bool:
    """Returns whether a dtype or dtype policy from a config is a float type."""
    if isinstance(dtype, dict):
        dtype = dtype.get("config", {}).get("name")
    return "float" in str(dtype)


def _new_loss(loss):
    if isinstance(loss, keras.losses.Loss):
        return type(loss).from_config(loss.get_config())
    return loss
