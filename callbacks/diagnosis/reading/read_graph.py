"""Reads the graph of a Keras model into plain data."""

import contextlib
import itertools
import math
import re

import keras
import numpy as np

from zoo.backend.keras_internals import (
    operation_of,
    output_index_of,
    symbolic_call,
)

from .graph import NO_KERNEL, Graph, Kernel, Node
from .initial import initial_rms, is_constant, looks_initial

MAX_ENTRIES = 2**20  # of a kernel; only the first units of a larger one are read
WITH_KERNEL = (
    keras.layers.Dense,
    keras.layers.Conv1D,
    keras.layers.Conv2D,
    keras.layers.Conv3D,
)
ACTIVATIONS = (
    *("celu", "elu", "exponential", "gelu", "glu", "hard_sigmoid", "hard_silu"),
    *("hard_swish", "hard_tanh", "leaky_relu", "linear", "log_sigmoid"),
    *(
        "log_softmax",
        "mish",
        "prelu",
        "relu",
        "relu6",
        "selu",
        "sigmoid",
        "silu",
        "softmax",
    ),
    *("softplus", "softsign", "sparsemax", "squareplus", "swish", "tanh"),
)
# Operations of `keras.ops` with another name than the activation.
OPERATIONS = {"exp": "exponential", "threshold": "relu"}
ROLES = {
    "kernel": (
        *("Dense", "EinsumDense", "Conv1D", "Conv2D", "Conv3D", "SeparableConv1D"),
        *("SeparableConv2D", "DepthwiseConv1D", "DepthwiseConv2D", "Conv1DTranspose"),
        *("Conv2DTranspose", "Conv3DTranspose"),
    ),
    "recurrent": (
        *("LSTM", "GRU", "SimpleRNN", "RNN", "Bidirectional", "ConvLSTM1D"),
        *("ConvLSTM2D", "ConvLSTM3D"),
    ),
    "embedding": ("Embedding",),
    "normalization": (
        *("BatchNormalization", "LayerNormalization", "GroupNormalization"),
        *("UnitNormalization", "RMSNormalization", "Normalization", "Rescaling"),
        *("Whitening", "QuantileNormalization", "UnitVariance"),
    ),
    "dropout": (
        *("Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D"),
        *("AlphaDropout", "GaussianDropout", "GaussianNoise"),
    ),
    "linear": (
        *("Flatten", "Reshape", "Permute", "RepeatVector", "Identity", "Masking"),
        *("ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "Cropping1D"),
        *("Cropping2D", "Cropping3D", "AveragePooling1D", "AveragePooling2D"),
        *("AveragePooling3D", "GlobalAveragePooling1D", "GlobalAveragePooling2D"),
        *("GlobalAveragePooling3D", "UpSampling1D", "UpSampling2D", "UpSampling3D"),
        *("Squeeze", "ExpandDims", "Transpose", "Mean", "Sum", "Cast", "GetItem"),
    ),
    "activation": ("Activation", "ReLU", "LeakyReLU", "ELU", "PReLU", "Softmax"),
    "pool": (
        *("MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "GlobalMaxPooling1D"),
        *("GlobalMaxPooling2D", "GlobalMaxPooling3D"),
    ),
}
ROLE_OF = {kind: role for role, kinds in ROLES.items() for kind in kinds}
OPTIONS = (
    *("axis", "rate", "units", "filters", "input_dim", "momentum"),
    *("return_sequences", "mask_value"),
)


def read_graph(model: keras.Model, x=None) -> Graph | None:
    """Reads the graph of a model.

    A subclassed model has no graph. Its `call` method runs on symbolic inputs with the
    shapes of `x`, which fails if the method uses functions of a backend.

    Args:
        model: Built model.
        x: Inputs of a few examples. Defaults to `None`: a subclassed model is not read.

    Returns:
        The graph, or `None` if it cannot be read.
    """
    if _is_graph(model):
        return _Reader().read(_flat(model.outputs), _inputs_of(model))
    if x is None or type(model).call is keras.Model.call:
        return None
    if any(array.dtype.kind not in "biuf" for array in _flat(x)):
        return None
    inputs = keras.tree.map_structure(_symbolic, x)
    with contextlib.ExitStack() as stack:
        outputs = _call(model, inputs, stack)
        if not outputs or not all(
            isinstance(one, keras.KerasTensor) for one in outputs
        ):
            return None
        return _Reader().read(outputs, _flat(inputs))


def _call(model: keras.Model, inputs, stack: contextlib.ExitStack) -> list:
    """Returns the outputs of `call`; empty if it does not take symbolic inputs.

    `call` may contain any code, such as functions of a backend, which raise all kinds
    of errors. An error in reading the result is our own, and is not caught.
    """
    try:
        return _flat(stack.enter_context(symbolic_call(model, inputs)))
    except ImportError:  # a private name of Keras no longer exists
        raise
    except Exception:
        return []


class _Reader:
    """Converts the operations that compute some tensors to nodes, inputs first."""

    def __init__(self):
        self._nodes: list[Node] = []
        self._indices: dict[tuple, int] = {}
        self._scopes: dict[tuple, dict] = {}

    def read(self, outputs: list, inputs: list) -> Graph:
        """Returns the graph that computes `outputs` from `inputs`."""
        pending: list[tuple] = [(tensor, {}) for tensor in reversed(outputs)]
        while pending:
            tensor, scope = self._resolve(*pending[-1])
            key = id(tensor), id(scope)
            if key in self._indices:
                pending.pop()
                continue
            operation, before = operation_of(tensor)
            sources = [self._resolve(one, scope) for one in before]
            missing = [
                (one, inner)
                for one, inner in sources
                if (id(one), id(inner)) not in self._indices
            ]
            if missing:
                pending += reversed(missing)
                continue
            indices = [self._indices[id(one), id(inner)] for one, inner in sources]
            self._indices[key] = len(self._nodes)
            self._nodes.append(_node(operation, tensor, indices))
            pending.pop()
        resolved = [self._resolve(tensor, self._root) for tensor in outputs]
        ends = [self._indices[id(one), id(scope)] for one, scope in resolved]
        starts = [self._indices.get((id(one), id(self._root))) for one in inputs]
        return Graph(tuple(self._nodes), tuple(ends), tuple(starts))

    @property
    def _root(self) -> dict:
        return self._scopes.setdefault(("root",), {})

    def _resolve(self, tensor, scope: dict) -> tuple:
        """Follows a tensor into inner models, and from their inputs back out.

        Args:
            tensor: Symbolic tensor.
            scope: Dict from the ids of the inputs of an inner model to the tensors,
                with their own scopes, that the model is called on.
        """
        scope = scope or self._root
        while True:
            if id(tensor) in scope:
                tensor, scope = scope[id(tensor)]
                continue
            operation, inputs = operation_of(tensor)
            if operation is None or not _is_graph(operation):
                return tensor, scope
            key = id(operation), id(scope), tuple(map(id, inputs))
            if key not in self._scopes:
                inner = _flat(operation.inputs)
                outer = [(one, scope) for one in inputs]
                pairs = zip(inner, outer, strict=True)
                self._scopes[key] = {id(one): pair for one, pair in pairs}
            tensor = _flat(operation.outputs)[output_index_of(tensor)]
            scope = self._scopes[key]


def _is_graph(operation) -> bool:
    """Returns whether a model is functional or sequential, and so has a graph."""
    return (
        isinstance(operation, keras.Model)
        and bool(getattr(operation, "inputs", None))
        and bool(getattr(operation, "outputs", None))
    )


def _inputs_of(model: keras.Model) -> list:
    """Returns the inputs in the order in which Keras flattens a batch."""
    is_plain = isinstance(model, keras.Sequential)
    return list(model.inputs) if is_plain else _flat(model.input)


def _flat(structure) -> list:
    return keras.tree.flatten(structure)


def _symbolic(array) -> keras.KerasTensor:
    shape = (None, *np.shape(array)[1:])
    return keras.KerasTensor(shape, dtype=str(array.dtype))


def _node(operation, tensor, inputs: list[int]) -> Node:
    shape = tuple(tensor.shape[1:])
    if operation is None or isinstance(operation, keras.layers.InputLayer):
        name = "input" if operation is None else operation.name
        return Node(name, "InputLayer", "input", (), shape)
    kind = type(operation).__name__
    activation = _activation_of(operation)
    return Node(
        name=operation.name,
        kind=kind,
        role=_role_of(operation, kind, activation, inputs),
        inputs=tuple(inputs),
        shape=shape,
        activation=activation,
        options=_options_of(operation),
        kernel=kernel_of(operation),
        trainable=getattr(operation, "trainable", True),
    )


def _role_of(operation, kind: str, activation, inputs: list) -> str:
    if len(inputs) > 1:
        return "merge"
    is_layer = isinstance(operation, keras.layers.Layer)
    if is_layer and type(operation) is not getattr(keras.layers, kind, None):
        is_ours = type(operation).__module__.startswith("zoo.")
        return ROLE_OF.get(kind, "unknown") if is_ours else "unknown"
    if not is_layer and activation not in ("linear", None):
        return "activation"
    return ROLE_OF.get(kind, "unknown")


def _activation_of(operation) -> str | None:
    """Returns the name of the activation that ends an operation; `None` if unknown."""
    kind = type(operation).__name__
    if not isinstance(operation, keras.layers.Layer):
        name = _snake_case(kind)
        return OPERATIONS.get(name, name if name in ACTIVATIONS else "linear")
    if isinstance(operation, keras.layers.Bidirectional):
        operation = operation.forward_layer
    if kind in ROLES["activation"] and kind != "Activation":
        return _name_of_layer(operation, kind)
    function = getattr(operation, "activation", keras.activations.linear)
    return name_of_activation(function)


def _name_of_layer(layer, kind: str) -> str | None:
    """Returns the name of an activation layer; `None` for unusual arguments."""
    if kind == "ELU" and layer.alpha != 1:
        return None
    if kind == "ReLU" and layer.negative_slope:
        return "leaky_relu"
    return _snake_case(kind)


def name_of_activation(function) -> str | None:
    """Returns the name of an activation function or layer; `None` if unknown.

    TensorFlow adds a version to the names of some functions, such as "softmax_v2".
    """
    name = getattr(function, "__name__", _snake_case(type(function).__name__))
    name = re.sub(r"_v\d+$", "", name)
    return name if name in ACTIVATIONS else None


def _snake_case(name: str) -> str:
    known = {"ReLU": "relu", "LeakyReLU": "leaky_relu", "ELU": "elu", "PReLU": "prelu"}
    if name in known:
        return known[name]
    pairs = itertools.pairwise(f" {name}")
    letters = [f"_{b}" if b.isupper() and a.islower() else b for a, b in pairs]
    return "".join(letters).lower()


def _options_of(operation) -> dict:
    options = {
        name: getattr(operation, name) for name in OPTIONS if hasattr(operation, name)
    }
    if isinstance(operation, keras.layers.Normalization):
        options["adapted"] = operation.input_mean is not None or _is_adapted(operation)
    return options


def _is_adapted(layer) -> bool:
    values = [keras.ops.convert_to_numpy(weight) for weight in layer.weights]
    return any((value != round(float(value.flat[0]))).any() for value in values[:2])


def kernel_of(operation) -> Kernel:
    """Returns statistics of the kernel of a layer, or `NO_KERNEL` if it has none."""
    if not isinstance(operation, WITH_KERNEL):
        return NO_KERNEL
    variable = operation.kernel
    # With LoRA or quantization, the kernel is computed from other variables.
    if not isinstance(variable, keras.Variable) or "float" not in variable.dtype:
        return NO_KERNEL
    *window, inputs, units = variable.shape
    size, initializer = math.prod(window), operation.kernel_initializer
    values = np.asarray(keras.ops.convert_to_numpy(variable))
    values = values.reshape(size * inputs, units)
    values = values[:, : max(2, MAX_ENTRIES // (size * inputs))].astype("float64")
    with np.errstate(all="ignore"):
        rms = float(np.sqrt(np.mean(values**2)))
        is_initial = looks_initial(values, initializer, size * inputs, size * units)
    rms_of_new = initial_rms(initializer, size * inputs, size * units)
    return Kernel(
        name=variable.path,
        fan_in=size * inputs,
        fan_out=units,
        rms=rms,
        equal_units=units > 1 and bool((values == values[:, :1]).all()),
        is_zero=not values.any(),
        looks_initial=bool(is_initial),
        trainable=bool(variable.trainable and operation.trainable),
        is_new=_is_new(operation, values, is_initial),
        growth=rms / rms_of_new if rms_of_new else None,
    )


def _is_new(layer, values: np.ndarray, is_initial: bool | None) -> bool | None:
    """Returns whether a layer has not been trained; `None` if unknown.

    Training moves the bias, which Keras initializes with zeros, in the first step.
    """
    if layer.bias is not None:
        bias = np.asarray(keras.ops.convert_to_numpy(layer.bias))
        kept = is_constant(bias, layer.bias_initializer)
        if kept is not None:
            return kept
    kept = is_constant(values, layer.kernel_initializer)
    return is_initial if kept is None else kept
