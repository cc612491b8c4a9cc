"""Functions that call a model on a single float tensor, and related helpers."""

from collections.abc import Callable

import keras


def on_floats(model: keras.Model) -> Callable:
    """Returns a function that calls the model on a float tensor.

    The returned function takes the tensor and the `training` argument. If the model
    takes or returns a dict or list with one entry, the function packs the input and
    unpacks the output. A model with integer inputs, such as
    `keras.Input(..., dtype="uint8")`, would round the tensor. The function therefore
    calls the layers of such a model directly.
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
    """Returns the only tensor in a dict, list or tuple; returns other values unchanged.

    A list of numbers or of nested lists represents an array, so it is not unpacked.
    """
    if isinstance(values, dict | list | tuple) and len(values) == 1:
        (value,) = values.values() if isinstance(values, dict) else values
        if isinstance(values, dict) or hasattr(value, "shape"):
            return value
    return values


def unpack_batch(data) -> tuple:
    """Splits a batch into inputs, labels and sample weights.

    Labels or weights that are given as a dict or list with one entry are unpacked.
    """
    x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
    return x, only(y), only(sample_weight)


def graph_inputs(model: keras.Model) -> list | None:
    """Returns the symbolic inputs of a model, or `None` if the model is subclassed."""
    try:
        return model.inputs or None
    except AttributeError:
        return None


def is_float(tensor) -> bool:
    """Returns whether a tensor has a float dtype."""
    dtype = keras.backend.standardize_dtype(tensor.dtype)
    return keras.backend.is_float_dtype(dtype)


def as_floats(points, x):
    """Casts points to float64 if `x` is float64, otherwise to float32.

    Rounding to integers or 16-bit floats could move the points out of the epsilon
    ball.
    """
    dtype = keras.backend.standardize_dtype(x.dtype)
    return keras.ops.cast(points, "float64" if dtype == "float64" else "float32")


class _OnFloats(keras.layers.Layer):
    """Calls the layers of a functional model without casting its inputs."""

    def __init__(self, model):
        # TensorFlow rejects the default name, which begins with an underscore.
        name = f"{model.name}_on_floats"
        super().__init__(name=name, dtype=model.dtype_policy, autocast=False)
        self._graph = keras.Function(model.inputs[0], model.outputs[0])

    def call(self, x, training=None):
        # Inner layers get `training` from the enclosing call.
        return self._graph(x)
