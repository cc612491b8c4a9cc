"""Captures the outputs of all layers of a model in a forward pass."""

import contextlib
import functools
import math

import keras

from zoo.backend.keras_internals import flatten_layers, mask_of, patched
from zoo.differentiation import same_trace

from .names import unique_names

MAX_ENTRIES = 2**24  # maximum for all outputs together, 64 MiB in float32
# Layers nested in these layers run once per time step, in a loop or in unrolled calls.
STEPWISE = (keras.layers.RNN, keras.layers.TimeDistributed)


class TooManyOutputs(BaseException):
    """Raised when the outputs require too much memory.

    This class does not derive from `Exception`, because AutoGraph would then wrap the
    error in another exception.
    """


class LayerOutputs:
    """Captures the outputs of a model's layers while the model is called.

    Args:
        model: Model to observe.

    Attributes:
        layers: Dict that maps the name of each output to the layer that computed it, in
            the order of the calls. If a layer has several outputs, all names but the
            first end with a number.
        unseen: Names of layers whose output cannot be captured: layers that run inside
            a loop, a branch or another compiled function, and layers that have weights
            but were not called.
        entries: Total number of entries in all outputs.
    """

    def __init__(self, model: keras.Model):
        self.layers: dict[str, keras.layers.Layer] = {}
        self.unseen: list[str] = []
        self.entries = 0
        self._found: list = []
        self._is_here = same_trace()
        self._model = model

    def of(self, inputs) -> dict:
        """Calls the model in inference mode, and returns the outputs of its layers.

        Args:
            inputs: Inputs of the model.

        Returns:
            A dict that maps the name of each output to a tuple `(tensor, mask)`. The
            tensor is a float tensor, and the mask is `None` if the output has no mask.
            If the outputs have more than `MAX_ENTRIES` entries in total, the dict is
            empty.
        """
        layers, hidden = _layers_within(self._model)
        called: set[int] = set()
        with contextlib.ExitStack() as stack:
            for name, layer in layers:
                attributes = self._attributes(name, layer, called)
                stack.enter_context(patched(layer, **attributes))
            stack.enter_context(patched(self._model, rematerialized_call=_plain))
            self._model(inputs, training=False)
        idle = [
            name
            for name, layer in layers
            if id(layer) not in called and _has_own_weights(layer)
        ]
        self.unseen = [*dict.fromkeys(self.unseen), *idle, *hidden]
        names = unique_names(name for name, *_ in self._found)
        self.layers = {
            name: layer for name, (_, layer, _) in zip(names, self._found, strict=True)
        }
        return {
            name: (_at_least_float32(tensor), mask_of(tensor))
            for name, (*_, tensor) in zip(names, self._found, strict=True)
        }

    def _attributes(self, name, layer, called) -> dict:
        """Returns a dict of functions that replace the methods of a layer.

        These functions capture the outputs of the layer.
        """
        is_quantized = getattr(layer, "quantization_mode", None) is not None
        method = "quantized_call" if is_quantized else "call"
        own = getattr(layer, method)

        @functools.wraps(own)
        def call(*args, **kwargs):
            called.add(id(layer))
            output = own(*args, **kwargs)
            self._see(name, layer, output)
            return output

        return {method: call, "rematerialized_call": _plain}

    def _see(self, name, layer, output):
        tensors = [
            tensor
            for tensor in keras.tree.flatten(output)
            if keras.ops.is_tensor(tensor)
            and keras.backend.is_float_dtype(tensor.dtype)
        ]
        if not all(map(self._is_here, tensors)):
            self.unseen.append(name)
            return
        for tensor in tensors:
            self.entries += math.prod(size for size in tensor.shape if size is not None)
            self._found.append((name, layer, tensor))
        if self.entries > MAX_ENTRIES:
            self._found.clear()


def _plain(call, *args, **kwargs):
    """Returns `call` unchanged, without rematerialization.

    This function replaces `rematerialized_call`, because rematerialization has no
    benefit without a backward pass.
    """
    return call


def _layers_within(layer, path: str = "") -> tuple[list, list[str]]:
    """Returns `(path, layer)` pairs for nested layers, and the paths of hidden layers.

    Here, a layer is hidden if its outputs cannot be captured. A shared layer is listed
    only once.
    """
    found: dict[int, tuple] = {}
    hidden: list[str] = []
    for inner in flatten_layers(layer, include_self=False, recursive=False):
        name = f"{path}{inner.name}"
        if not isinstance(inner, keras.layers.InputLayer):
            found.setdefault(id(inner), (name, inner))
        deeper, deeper_hidden = _layers_within(inner, f"{name}/")
        hidden += deeper_hidden
        if isinstance(inner, STEPWISE):
            # The inner layer or cell is not hidden, because its outputs are also the
            # outputs of this layer. Layers that are nested more deeply are hidden.
            hidden += [
                name_within
                for name_within, one in deeper
                if name_within.count("/") > name.count("/") + 1
                and _has_own_weights(one)
            ]
        else:
            for one in deeper:
                found.setdefault(id(one[1]), one)
    return list(found.values()), hidden


def _has_own_weights(layer) -> bool:
    """Returns whether a layer has weights that belong to none of its nested layers."""
    inner = flatten_layers(layer, include_self=False)
    of_inner = {id(weight) for one in inner for weight in one.weights}
    return any(id(weight) not in of_inner for weight in layer.weights)


def _at_least_float32(tensor):
    is_double = keras.backend.standardize_dtype(tensor.dtype) == "float64"
    return tensor if is_double else keras.ops.cast(tensor, "float32")
