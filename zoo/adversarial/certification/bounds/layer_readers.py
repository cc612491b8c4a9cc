"""Functions that translate Keras layers to the operations of a `Network`."""

import math

import keras
import numpy as np
from keras import ops

from ....layers import DropConnect, Maxout, StochasticDepth, Whitening
from . import operations
from .network import NetworkBuilder

UNCHANGED_IN_INFERENCE = (
    keras.layers.ActivityRegularization,
    keras.layers.AlphaDropout,
    keras.layers.Dropout,
    keras.layers.GaussianDropout,
    keras.layers.GaussianNoise,
    keras.layers.Identity,
    keras.layers.RandomBrightness,
    keras.layers.RandomContrast,
    keras.layers.RandomFlip,
    keras.layers.RandomRotation,
    keras.layers.RandomTranslation,
    keras.layers.RandomZoom,
    keras.layers.Reshape,
    keras.layers.SpatialDropout1D,
    keras.layers.SpatialDropout2D,
    StochasticDepth,
)


def read_layer(
    network: NetworkBuilder, layer, inputs: list[int], rank: int, shape: tuple
) -> int:
    """Adds the operations of a layer, and returns the index of the last one.

    Args:
        network: The operations so far.
        layer: Layer or operation of Keras.
        inputs: Indices of its inputs.
        rank: Number of dimensions of its input, without the batch dimension.
        shape: Shape of its output, without the batch dimension.

    Raises:
        ValueError: If the layer is not supported.
    """
    network.name, network.dtype = layer.name, getattr(layer, "compute_dtype", "float32")
    if network.dtype not in ("float32", "float64"):
        raise network.unsupported(f"a layer that computes in {network.dtype}")
    if type(layer) in UNCHANGED_IN_INFERENCE:
        return inputs[0]
    if type(layer) is keras.layers.Add or _is_sum(layer, inputs):
        size = math.prod(shape)
        if any(network.size_of(some) != size for some in inputs):
            raise network.unsupported("a sum with broadcasting")
        return network.add(operations.Sum, inputs, size)
    if type(layer) is keras.layers.Flatten:
        if layer.data_format == "channels_first" and rank > 1:
            raise network.unsupported("Flatten that moves the channels last")
        return inputs[0]
    reader = READERS.get(type(layer))
    if reader is None:
        raise network.unsupported(type(layer).__name__)
    return reader(network, layer, inputs[0], shape)


def _dense(network, layer, index, shape):
    if len(shape) != 1:
        raise network.unsupported(f"a dense layer with outputs of shape {shape}")
    if getattr(layer, "quantization_mode", None):
        raise network.unsupported("a quantized layer")

    def read(dtype):
        bias = layer.bias if layer.bias is not None else np.zeros(layer.units)
        return ops.cast(layer.kernel, dtype), ops.cast(bias, dtype)

    index = network.add(operations.Dense, [index], layer.units, read)
    return _activation(network, layer.activation, index)


def _whitening(network, layer, index, shape):
    def read_shift(dtype):
        mean = ops.cast(layer.mean, dtype)
        return ops.ones_like(mean), -mean, ops.abs(mean)

    def read_matrix(dtype):
        return ops.cast(layer.matrix, dtype), ops.zeros(shape, dtype)

    index = network.add(operations.Scale, [index], None, read_shift)
    return network.add(operations.Dense, [index], shape[0], read_matrix)


def _maxout(network, layer, index, shape):
    """Reads the maximum of a, b, ... as a + relu(b - a), and so on."""
    if len(shape) != 1:
        raise network.unsupported(f"Maxout with outputs of shape {shape}")

    def piece(number):
        def read(dtype):
            kernel = ops.cast(layer.kernel, dtype)[:, number :: layer.pieces]
            return kernel, ops.cast(layer.bias, dtype)[number :: layer.pieces]

        return network.add(operations.Dense, [index], layer.units, read)

    largest = piece(0)
    for number in range(1, layer.pieces):
        pair = [piece(number), network.scale(largest, -1.0)]
        excess = network.rectifier(network.add(operations.Sum, pair))
        largest = network.add(operations.Sum, [largest, excess])
    return largest


def _activation_layer(network, layer, index, shape):
    return _activation(network, layer.activation, index)


def _activation(network, function, index):
    shape = (network.size_of(index),)
    if isinstance(function, keras.layers.Layer):
        return read_layer(network, function, [index], 1, shape)
    if function in (None, keras.activations.linear):
        return index
    add = {
        keras.activations.relu: network.rectifier,
        keras.activations.leaky_relu: lambda index: network.rectifier(index, 0.2),
        keras.activations.relu6: lambda index: network.clipped(index, 6.0),
        keras.activations.tanh: lambda index: network.add(operations.Tanh, [index]),
        keras.activations.sigmoid: network.sigmoid,
        keras.activations.softmax: network.softmax,
    }.get(function)
    if add is None:
        name = getattr(function, "__name__", str(function))
        raise network.unsupported(f"the activation {name}")
    return add(index)


def _relu(network, layer, index, shape):
    if layer.threshold:
        raise network.unsupported(f"ReLU with threshold={layer.threshold}")
    if layer.max_value is None:
        return network.rectifier(index, layer.negative_slope)
    if layer.negative_slope:
        raise network.unsupported("ReLU with a negative slope and a maximum")
    return network.clipped(index, float(layer.max_value))


def _leaky_relu(network, layer, index, shape):
    return network.rectifier(index, layer.negative_slope)


def _prelu(network, layer, index, shape):
    slopes = ops.convert_to_numpy(layer.alpha)
    if slopes.min() < 0 or slopes.max() > 1:
        raise network.unsupported("PReLU with slopes outside [0, 1]")

    def read(dtype):
        slope = ops.broadcast_to(ops.cast(layer.alpha, dtype), shape)
        return (ops.reshape(slope, (-1,)),)

    return network.add(operations.Rectifier, [index], None, read)


def _softmax(network, layer, index, shape):
    if len(shape) != 1:
        raise network.unsupported(f"Softmax with outputs of shape {shape}")
    return network.softmax(index)


def _batch_normalization(network, layer, index, shape):
    axis = layer.axis if layer.axis >= 0 else layer.axis + len(shape) + 1

    def full(value, dtype):
        ones = [1] * len(shape)
        ones[axis - 1] = shape[axis - 1]
        value = ops.reshape(ops.cast(value, dtype), ones)
        return ops.reshape(ops.broadcast_to(value, shape), (-1,))

    def read(dtype):
        scale = 1 / ops.sqrt(full(layer.moving_variance, dtype) + layer.epsilon)
        if layer.scale:
            scale = scale * full(layer.gamma, dtype)
        shift = -full(layer.moving_mean, dtype) * scale
        beta = full(layer.beta, dtype) if layer.center else ops.zeros_like(shift)
        return scale, shift + beta, ops.abs(shift) + ops.abs(beta)

    return network.add(operations.Scale, [index], None, read)


def _normalization(network, layer, index, shape):
    def read(dtype):
        mean, variance = (
            ops.reshape(ops.broadcast_to(ops.cast(v, dtype), (1, *shape)), (-1,))
            for v in (layer.mean, layer.variance)
        )
        deviation = ops.maximum(ops.sqrt(variance), keras.config.epsilon())
        if layer.invert:
            return deviation, mean, ops.abs(mean)
        return 1 / deviation, -mean / deviation, ops.abs(mean) / deviation

    return network.add(operations.Scale, [index], None, read)


def _rescaling(network, layer, index, shape):
    scale, shift = (
        np.broadcast_to(np.asarray(value, "float64"), shape).ravel()
        for value in (layer.scale, layer.offset)
    )
    return network.scale(index, scale, shift)


def _is_sum(operation, inputs) -> bool:
    """Returns whether an operation is `a + b`, with two symbolic tensors."""
    return isinstance(operation, keras.Operation) and (
        type(operation).__name__ == "Add" and len(inputs) == 2
    )


READERS = {
    keras.layers.Dense: _dense,
    DropConnect: _dense,
    Whitening: _whitening,
    Maxout: _maxout,
    keras.layers.Activation: _activation_layer,
    keras.layers.ReLU: _relu,
    keras.layers.LeakyReLU: _leaky_relu,
    keras.layers.PReLU: _prelu,
    keras.layers.Softmax: _softmax,
    keras.layers.BatchNormalization: _batch_normalization,
    keras.layers.Normalization: _normalization,
    keras.layers.Rescaling: _rescaling,
}
