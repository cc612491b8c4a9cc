"""The logits of a classifier, also of one that ends in probabilities."""

import contextlib
from collections.abc import Callable, Iterator

import keras
from keras import ops

PROBABILITIES = ("softmax", "sigmoid")


def find_logits(model: keras.Model) -> tuple[Callable, str | None]:
    """Finds what comes before a final softmax or sigmoid.

    It is found where the activation is one of the last layer, a layer of its own, an
    operation of `keras.ops`, or one of these in a model that is the last layer.

    Args:
        model: Model of one input and one output.

    Returns:
        A function of inputs to what the model computes in inference mode before the
        activation, and the activation: "softmax", "sigmoid" or `None` if the model
        ends in none that can be seen.
    """
    last = _last_operation(model)
    if last is None:
        return _call(model), None
    operation, before = last
    if isinstance(operation, keras.Model):
        inner, activation = find_logits(operation)
        if activation is None:
            return _call(model), None
        features = _call(keras.Model(model.inputs[0], before))
        return lambda x: inner(features(x)), activation
    activation = _activation_of(operation)
    if activation is None:
        return _call(model), None
    features = _call(keras.Model(model.inputs[0], before))
    if not _computes_more(operation):
        return features, activation

    def logits(x):
        x = features(x)
        with _without_activation(operation):
            return operation(x)

    return logits, activation


def as_classes(outputs):
    """Returns float32 logits of at least two classes; one output is that of class 1."""
    outputs = ops.cast(outputs, "float32")
    if outputs.shape[-1] == 1:
        return ops.concatenate([ops.zeros_like(outputs), outputs], axis=-1)
    return outputs


def log_probabilities(outputs, activation: str):
    """Returns logits that have these probabilities, as exactly as they can be told."""
    outputs = ops.cast(outputs, "float32")
    tiny = 1e-37
    if activation == "sigmoid":
        return ops.log(ops.maximum(outputs, tiny)) - ops.log(
            ops.maximum(1 - outputs, tiny)
        )
    return ops.log(ops.maximum(outputs, tiny))


def _call(model) -> Callable:
    return lambda x: model(x, training=False)


def _last_operation(model):
    """The operation that makes the output of a functional model, and its input."""
    try:
        history = model.outputs[0]._keras_history
        node = history.operation._inbound_nodes[history.node_index]
        (before,) = node.input_tensors
    except (AttributeError, ValueError, TypeError):  # subclassed, or several inputs
        return None
    return history.operation, before


def _activation_of(operation) -> str | None:
    if isinstance(operation, keras.layers.Softmax):
        return "softmax"
    if not isinstance(operation, keras.layers.Layer):
        name = type(operation).__name__.lower()
        return name if name in PROBABILITIES else None
    activation = getattr(operation, "activation", None)
    for name in PROBABILITIES:
        if activation is getattr(keras.activations, name):
            return name
    return None


def _computes_more(operation) -> bool:
    """Whether a layer does more than its activation, as `Dense` does."""
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
