"""A Keras classifier as a list of operations that can be bounded."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from ...arguments import invalid_argument
from ...layers import DropConnect, Maxout, StochasticDepth
from . import operations

UNCHANGED_AT_INFERENCE = (
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
READABLE = (
    "Bounds are known for dense layers, relu, relu6, leaky_relu, PReLU, sigmoid, tanh, "
    "Maxout, Add, BatchNormalization, Normalization, Rescaling, Flatten, Reshape, and "
    "for layers that do nothing at inference, such as Dropout."
)


@dataclass(frozen=True)
class Network:
    """The operations of a classifier up to its logits.

    Args:
        operations: Every operation comes after its inputs; the first is the source.
            The last computes the logits.
    """

    operations: tuple[operations.Operation, ...]

    @property
    def num_outputs(self) -> int:
        return self.operations[-1].size


def read_network(model: keras.Model) -> Network:
    """Reads a classifier up to its logits: a final softmax or sigmoid is left out.

    Args:
        model: Built functional or sequential model of one input and one output.

    Raises:
        ValueError: If the model has a layer that no bounds are known for.
    """
    reader = _Reader(model)
    place = reader.read_model(model, 0)
    place = reader.logits.get(place, place)
    for index in range(place + 1):
        if isinstance(reader.operations[index], operations.Probabilities):
            raise _unreadable(reader.names[index], "a softmax before the last layer")
    return Network(tuple(reader.operations[: place + 1]))


class _Reader:
    def __init__(self, model):
        try:
            shape = model.inputs[0].shape[1:]
        except AttributeError:
            expected = "a functional or sequential model, whose layers can be read"
            raise invalid_argument("model", expected, model) from None
        if None in shape:
            expected = "a model with inputs of a fixed shape"
            raise invalid_argument("model", expected, shape)
        self.operations = [operations.Source((), math.prod(shape), "float32")]
        self.names = ["input"]
        self.logits = {}  # the places before a softmax or sigmoid, by its own
        self._name, self._dtype = "input", "float32"
        self._rank = len(shape)  # of what the next layer takes

    def read_model(self, model, place: int) -> int:
        """Adds the operations of a model whose input is at a place."""
        known = {id(model.inputs[0]): place}
        waiting = [model.outputs[0]]
        while waiting:
            tensor = waiting[-1]
            operation, before = _made_by(tensor)
            missing = [some for some in before if id(some) not in known]
            if id(tensor) not in known and missing:
                waiting += missing
                continue
            waiting.pop()
            if id(tensor) not in known:
                self._rank = len(before[0].shape) - 1
                places = [known[id(some)] for some in before]
                known[id(tensor)] = self._read(operation, places, tensor.shape[1:])
        return known[id(model.outputs[0])]

    def _read(self, layer, places: list[int], shape) -> int:
        if isinstance(layer, keras.Model) and hasattr(layer, "inputs"):
            return self.read_model(layer, places[0])
        self._name, self._dtype = layer.name, _dtype_of(layer)
        if type(layer) in UNCHANGED_AT_INFERENCE:
            return places[0]
        if type(layer) is keras.layers.Add or _is_sum(layer, places):
            size = math.prod(shape)
            if any(self.operations[some].size != size for some in places):
                raise _unreadable(layer.name, "a sum that broadcasts")
            return self._add(operations.Sum, places, size)
        read = self._READERS.get(type(layer))
        if read is None:
            raise _unreadable(layer.name, type(layer).__name__)
        return read(self, layer, places[0], shape)

    def _flatten(self, layer, place, shape):
        if layer.data_format == "channels_first" and self._rank > 1:
            raise _unreadable(layer.name, "Flatten that moves channels last")
        return place

    def _dense(self, layer, place, shape):
        if len(shape) != 1:
            raise _unreadable(layer.name, f"a dense layer on outputs of shape {shape}")
        if getattr(layer, "quantization_mode", None):
            raise _unreadable(layer.name, "a quantized layer")

        def read(dtype):
            bias = layer.bias if layer.bias is not None else np.zeros(layer.units)
            return ops.cast(layer.kernel, dtype), ops.cast(bias, dtype)

        place = self._add(operations.Dense, [place], layer.units, read)
        return self._activation(layer.activation, place)

    def _maxout(self, layer, place, shape):
        """Reads the maximum of a, b, ... as a + relu(b - a) and so on."""
        if len(shape) != 1:
            raise _unreadable(layer.name, f"Maxout on outputs of shape {shape}")

        def piece(index):
            def read(dtype):
                kernel = ops.cast(layer.kernel, dtype)[:, index :: layer.pieces]
                return kernel, ops.cast(layer.bias, dtype)[index :: layer.pieces]

            return self._add(operations.Dense, [place], layer.units, read)

        largest = piece(0)
        for index in range(1, layer.pieces):
            difference = self._add(
                operations.Sum, [piece(index), self._scale(largest, -1.0)]
            )
            largest = self._add(operations.Sum, [largest, self._rectifier(difference)])
        return largest

    def _activation_layer(self, layer, place, shape):
        return self._activation(layer.activation, place)

    def _activation(self, function, place):
        if isinstance(function, keras.layers.Layer):
            return self._read(function, [place], (self.operations[place].size,))
        if function in (None, keras.activations.linear):
            return place
        if function is keras.activations.relu:
            return self._rectifier(place)
        if function is keras.activations.leaky_relu:
            return self._rectifier(place, 0.2)
        if function is keras.activations.relu6:
            return self._clipped(place, 6.0)
        if function is keras.activations.tanh:
            return self._add(operations.Tanh, [place])
        if function is keras.activations.sigmoid:
            return self._sigmoid(place)
        if function is keras.activations.softmax:
            return self._softmax(None, place, (self.operations[place].size,))
        name = getattr(function, "__name__", str(function))
        raise _unreadable(self._name, f"the activation {name}")

    def _relu(self, layer, place, shape):
        if layer.threshold:
            raise _unreadable(layer.name, f"ReLU with threshold={layer.threshold}")
        if layer.max_value is None:
            return self._rectifier(place, layer.negative_slope)
        if layer.negative_slope:
            raise _unreadable(layer.name, "ReLU with a slope and a maximum")
        return self._clipped(place, float(layer.max_value))

    def _leaky_relu(self, layer, place, shape):
        return self._rectifier(place, layer.negative_slope)

    def _prelu(self, layer, place, shape):
        slopes = keras.ops.convert_to_numpy(layer.alpha)
        if slopes.min() < 0 or slopes.max() > 1:
            raise _unreadable(layer.name, "PReLU with slopes outside [0, 1]")

        def read(dtype):
            slope = ops.broadcast_to(ops.cast(layer.alpha, dtype), shape)
            return (ops.reshape(slope, (-1,)),)

        return self._add(operations.Rectifier, [place], None, read)

    def _softmax(self, layer, place, shape):
        if len(shape) != 1:
            raise _unreadable(self._name, f"Softmax on outputs of shape {shape}")
        after = self._add(operations.Probabilities, [place])
        self.logits[after] = place
        return after

    def _batch_normalization(self, layer, place, shape):
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

        return self._add(operations.Scale, [place], None, read)

    def _normalization(self, layer, place, shape):
        def read(dtype):
            mean, variance = (
                ops.reshape(ops.broadcast_to(ops.cast(v, dtype), (1, *shape)), (-1,))
                for v in (layer.mean, layer.variance)
            )
            deviation = ops.maximum(ops.sqrt(variance), keras.config.epsilon())
            if layer.invert:
                return deviation, mean, ops.abs(mean)
            return 1 / deviation, -mean / deviation, ops.abs(mean) / deviation

        return self._add(operations.Scale, [place], None, read)

    def _rescaling(self, layer, place, shape):
        scale, shift = (
            np.broadcast_to(np.asarray(value, "float64"), shape).ravel()
            for value in (layer.scale, layer.offset)
        )
        return self._constant_scale(place, scale, shift)

    def _rectifier(self, place, slope: float = 0.0) -> int:
        if not 0 <= slope <= 1:
            raise _unreadable(self._name, f"a negative slope of {slope}")
        values = np.full(self.operations[place].size, float(slope))
        return self._add(
            operations.Rectifier,
            [place],
            None,
            lambda dtype: (ops.convert_to_tensor(values, dtype),),
        )

    def _clipped(self, place, maximum: float) -> int:
        """Reads min(relu(x), maximum) as relu(x) - relu(x - maximum)."""
        above = self._rectifier(self._scale(place, 1.0, -maximum))
        below = self._rectifier(place)
        return self._add(operations.Sum, [below, self._scale(above, -1.0)])

    def _sigmoid(self, place) -> int:
        """Reads a sigmoid as (1 + tanh(x / 2)) / 2."""
        tanh = self._add(operations.Tanh, [self._scale(place, 0.5)])
        after = self._scale(tanh, 0.5, 0.5)
        self.logits[after] = place
        return after

    def _scale(self, place, scale: float, shift: float = 0.0) -> int:
        size = self.operations[place].size
        return self._constant_scale(place, np.full(size, scale), np.full(size, shift))

    def _constant_scale(self, place, scale: np.ndarray, shift: np.ndarray) -> int:
        values = scale, shift, np.abs(shift)
        return self._add(
            operations.Scale,
            [place],
            None,
            lambda dtype: tuple(ops.convert_to_tensor(v, dtype) for v in values),
        )

    def _add(self, kind, places, size: int | None = None, *read: Callable) -> int:
        if size is None:
            size = self.operations[places[0]].size
        self.operations.append(kind(tuple(places), size, self._dtype, *read))
        self.names.append(self._name)
        return len(self.operations) - 1

    _READERS = {
        keras.layers.Flatten: _flatten,
        keras.layers.Dense: _dense,
        DropConnect: _dense,
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


def _made_by(tensor):
    """The operation that made a symbolic tensor, and its inputs."""
    history = tensor._keras_history
    node = history.operation._inbound_nodes[history.node_index]
    return history.operation, node.input_tensors


def _is_sum(operation, places) -> bool:
    """Whether it is `a + b` of two symbolic tensors."""
    return isinstance(operation, keras.Operation) and (
        type(operation).__name__ == "Add" and len(places) == 2
    )


def _dtype_of(operation) -> str:
    dtype = getattr(operation, "compute_dtype", "float32")
    if dtype not in ("float32", "float64"):
        raise _unreadable(operation.name, f"a layer that computes in {dtype}")
    return dtype


def _unreadable(name: str, what: str) -> ValueError:
    fix = f"{READABLE} Build the model of these, to certify it."
    return invalid_argument(
        "model", "layers that bounds are known for", f"layer '{name}': {what}", fix
    )
