"""Models called on one float tensor, whatever structure and dtype they declare."""

from collections.abc import Callable

import keras


def on_floats(model: keras.Model) -> Callable:
    """Returns a function of a float tensor and `training` to the one output.

    A dict or list of one entry is packed and unpacked. A model with integer inputs,
    such as `keras.Input(..., dtype="uint8")`, would round what it is called on: its
    layers are called instead, on floats.
    """
    inputs = graph_inputs(model)
    is_integer = inputs is not None and not is_float(inputs[0])
    is_plain = inputs is None or isinstance(model, keras.Sequential)
    if is_plain and not is_integer:
        return lambda x, training=False: only(model(x, training=training))
    if is_integer:
        model = _OnFloats(model)
        return lambda x, training=False: model(x, training=training)

    def call(x, training=False):
        packed = keras.tree.pack_sequence_as(model.input, [x])
        return only(model(packed, training=training))

    return call


def only(values):
    """Returns the one tensor of a dict, list or tuple; anything else as it is.

    A list of numbers, or of lists of them, is an array of its own.
    """
    if isinstance(values, dict | list | tuple) and len(values) == 1:
        (value,) = values.values() if isinstance(values, dict) else values
        if isinstance(values, dict) or hasattr(value, "shape"):
            return value
    return values


def graph_inputs(model: keras.Model) -> list | None:
    """Returns the symbolic inputs of a functional model; `None` of a subclassed one."""
    try:
        return model.inputs or None
    except AttributeError:
        return None


def is_float(tensor) -> bool:
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return keras.backend.is_float_dtype(dtype)


def as_floats(points, x):
    """Returns points in float32, or in float64 if `x` is.

    In the dtype of integers, or of floats of 16 bits, they would leave the ball.
    """
    dtype = keras.backend.standardize_dtype(x.dtype)
    return keras.ops.cast(points, "float64" if dtype == "float64" else "float32")


class _OnFloats(keras.layers.Layer):
    """Calls the layers of a functional model, without its conversion of inputs."""

    def __init__(self, model):
        # TensorFlow refuses the default name, which begins with an underscore.
        name = f"{model.name}_on_floats"
        super().__init__(name=name, dtype=model.dtype_policy, autocast=False)
        self._graph = keras.Function(model.inputs[0], model.outputs[0])

    def call(self, x, training=None):
        # Layers take `training` from the call that they are part of.
        return self._graph(x)
