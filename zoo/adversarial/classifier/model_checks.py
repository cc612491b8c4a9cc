"""Checks that a model is a classifier that can be attacked."""

import keras

from ...utils.arguments import invalid_argument
from .float_inputs import graph_inputs, is_float

TOKENS = (
    keras.layers.Embedding,
    keras.layers.CategoryEncoding,
    keras.layers.Discretization,
    keras.layers.Hashing,
    keras.layers.IntegerLookup,
    keras.layers.StringLookup,
)


def check_model(model) -> None:
    """Raises an error if gradient-based attacks do not support the model."""
    if not isinstance(model, keras.Model) or not model.built:
        fix = "Give its input shape with `keras.Input`, or call the model on a batch."
        raise invalid_argument("model", "a keras.Model that is built", model, fix)
    inputs = graph_inputs(model)
    if inputs is None:
        return
    outputs = model.outputs
    if len(inputs) != 1 or len(outputs) != 1:
        expected = "a model of one input and one output"
        raise invalid_argument("model", expected, (len(inputs), len(outputs)))
    dtype = keras.backend.standardize_dtype(inputs[0].dtype)
    if not is_float(inputs[0]) and (dtype == "string" or _takes_tokens(model)):
        raise invalid_argument(
            "model",
            "a model of float inputs",
            f"{model.name} with inputs of dtype {dtype}",
            "Integers, as tokens, have no gradient and no small perturbations. These "
            "attacks support images, tables and other numeric inputs.",
        )
    if any(_takes_integers(layer) for layer in model.layers):
        raise invalid_argument(
            "model",
            "a model in which no inner model has inputs of integers",
            model.name,
            "The inner model would round the perturbed inputs. Give it a float "
            "`keras.Input`.",
        )
    check_outputs(tuple(outputs[0].shape))


def check_outputs(shape: tuple, size: int | None = None) -> None:
    """Raises an error if the output shape is not that of a classifier.

    If `size` is given, the number of examples must also be equal to `size`.
    """
    if len(shape) != 2 or (size is not None and shape[0] != size):
        expected = "a classifier, with outputs of shape (batch, classes)"
        raise invalid_argument("model", expected, shape)


def _takes_integers(layer) -> bool:
    if not isinstance(layer, keras.Model):
        return False
    inputs = graph_inputs(layer) or ()
    return not all(map(is_float, inputs)) or any(map(_takes_integers, layer.layers))


def _takes_tokens(model) -> bool:
    """Returns whether a model has a layer that treats integers as categories."""
    return any(
        _takes_tokens(layer)
        if isinstance(layer, keras.Model)
        else type(layer) in TOKENS
        for layer in model.layers
    )
