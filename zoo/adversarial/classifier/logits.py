"""Functions that find the logits of a classifier, even if it outputs probabilities."""

import contextlib
from collections.abc import Callable, Iterator

import keras
from keras import ops

from ...backend.keras_internals import operation_of
from .float_inputs import graph_inputs, on_floats

PROBABILITIES = ("softmax", "sigmoid")


def find_logits(model: keras.Model) -> tuple[Callable, str | None]:
    """Finds the input to a final softmax or sigmoid.

    The activation is recognized if it is an argument of the last layer, a separate
    layer, an operation of `keras.ops`, or one of these at the end of an inner model.

    Args:
        model: Model with one input and one output.

    Returns:
        A tuple:

        - a function that runs the model in inference mode and returns the input to the
          activation or, if no activation is recognized, the output of the model;
        - the activation: "softmax", "sigmoid", or `None` if none is recognized.
    """
    last = _last_operation(model)
    if last is None:
        return on_floats(model), None
    operation, before = last
    if isinstance(operation, keras.Model):
        inner, activation = find_logits(operation)
        if activation is None:
            return on_floats(model), None
        features = on_floats(keras.Model(model.inputs[0], before))
        return lambda x: inner(features(x)), activation
    activation = _activation_of(operation)
    if activation is None:
        return on_floats(model), None
    features = on_floats(keras.Model(model.inputs[0], before))
    if not _computes_more(operation):
        return features, activation

    def logits(x):
        x = features(x)
        with _without_activation(operation):
            return operation(x)

    return logits, activation


def ends_linear(model: keras.Model) -> bool:
    """Returns whether the last layer is known to be affine, without an activation."""
    last = _last_operation(model)
    if last is None:
        return False
    if isinstance(last[0], keras.Model):
        return ends_linear(last[0])
    is_affine = type(last[0]) in (keras.layers.Dense, keras.layers.EinsumDense)
    return is_affine and last[0].activation is keras.activations.linear


def as_classes(outputs):
    """Returns float32 logits for at least two classes.

    A single output becomes the logit of class 1, and class 0 gets the logit 0.
    """
    outputs = ops.cast(outputs, "float32")
    if outputs.shape[-1] == 1:
        return ops.concatenate([ops.zeros_like(outputs), outputs], axis=-1)
    return outputs


def log_probabilities(outputs, activation: str):
    """Clips probabilities to at least 1e-37, and converts them to logits."""
    outputs = ops.cast(outputs, "float32")
    tiny = 1e-37
    if activation == "sigmoid":
        return ops.log(ops.maximum(outputs, tiny)) - ops.log(
            ops.maximum(1 - outputs, tiny)
        )
    return ops.log(ops.maximum(outputs, tiny))


def _last_operation(model):
    """Returns the last operation of a functional model and the input of that operation.

    Layers that do nothing in inference mode are skipped. The result is `None` if the
    model is subclassed or the operation has several inputs.
    """
    if graph_inputs(model) is None:
        return None
    output = model.outputs[0]
    while True:
        operation, inputs = operation_of(output)
        if len(inputs) != 1:
            return None
        (output,) = inputs
        if not _changes_nothing(operation):
            return operation, output


def _changes_nothing(operation) -> bool:
    if type(operation) is keras.layers.Activation:
        return operation.activation is keras.activations.linear
    return type(operation) in (keras.layers.Identity, keras.layers.Dropout)


def _activation_of(operation) -> str | None:
    if isinstance(operation, keras.layers.Softmax):
        return "softmax"
    if not isinstance(operation, keras.layers.Layer):
        name = type(operation).__name__.lower()
        return name if name in PROBABILITIES else None
    activation = getattr(operation, "activation", None)
    for name in PROBABILITIES:
        if activation in (getattr(keras.activations, name), getattr(ops, name)):
            return name
    return None


def _computes_more(operation) -> bool:
    """Returns whether a layer, such as `Dense`, does more than apply its activation."""
    alone = keras.layers.Softmax | keras.layers.Activation
    return isinstance(operation, keras.layers.Layer) and not isinstance(
        operation, alone
    )


@contextlib.contextmanager
def _without_activation(layer) -> Iterator[None]:
    activation = layer.activation
    layer.activation = keras.activations.linear
    try:
        yield
    finally:
        layer.activation = activation
