"""A function that translates a Keras model to a `Network`."""

import math

import keras

from ....backend.keras_internals import operation_of
from ....utils.arguments import invalid_argument
from ...classifier.float_inputs import graph_inputs
from . import operations
from .layer_readers import read_layer
from .network import Network, NetworkBuilder


def read_network(model: keras.Model) -> Network:
    """Reads the operations of a classifier, without a final softmax or sigmoid.

    Args:
        model: Built functional or sequential model with one input and one output.

    Raises:
        ValueError: If the model contains a layer that is not supported.
    """
    inputs = graph_inputs(model)
    if inputs is None:
        expected = "a functional or sequential model, whose layers can be read"
        raise invalid_argument("model", expected, model)
    shape = inputs[0].shape[1:]
    if None in shape:
        raise invalid_argument("model", "a model with inputs of a fixed shape", shape)
    network = NetworkBuilder(math.prod(shape))
    last = _read_model(network, model, 0)
    last = network.logits.get(last, last)
    for index in range(last + 1):
        if isinstance(network.operations[index], operations.Probabilities):
            raise network.unsupported(
                "a softmax before the last layer", network.names[index]
            )
    return Network(tuple(network.operations[: last + 1]))


def _read_model(network: NetworkBuilder, model, index: int) -> int:
    """Adds the operations of a model, and returns the index of the last one.

    Args:
        network: The operations so far.
        model: Functional or sequential model.
        index: Index of the operation that computes its input.
    """
    known = {id(model.inputs[0]): index}
    waiting = [model.outputs[0]]
    while waiting:
        tensor = waiting[-1]
        if id(tensor) in known:
            waiting.pop()
            continue
        layer, inputs = operation_of(tensor)
        missing = [some for some in inputs if id(some) not in known]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        places = [known[id(some)] for some in inputs]
        if isinstance(layer, keras.Model) and graph_inputs(layer):
            known[id(tensor)] = _read_model(network, layer, places[0])
        else:
            rank, shape = len(inputs[0].shape) - 1, tensor.shape[1:]
            known[id(tensor)] = read_layer(network, layer, places, rank, shape)
    return known[id(model.outputs[0])]
