"""What the builders have in common: checks, and the ends of a model."""

from collections.abc import Callable, Sequence

import keras
import numpy as np

from .arguments import check_shape, invalid_argument, is_integer
from .initializers import head_initializer, hidden_initializer
from .token_shape import TokenShape

NORMALIZATIONS = {
    "batch": keras.layers.BatchNormalization,
    "layer": keras.layers.LayerNormalization,
}


def check_vector_shape(name: str, shape) -> tuple[int, ...]:
    """Returns the shape of an example of numbers, or raises if it is none."""
    if isinstance(shape, TokenShape):
        raise invalid_argument(
            name,
            "the shape of images, tables or other numbers",
            shape,
            "These are token ids, which are names and not quantities: embed them, as "
            "`zoo.lstm(..., vocabulary_size=len(data.vocabulary))` does.",
        )
    return check_shape(name, shape)


def check_units(name: str, units) -> tuple[int, ...]:
    """Returns the units of each layer, or raises if they are not integers >= 1."""
    valid = isinstance(units, Sequence) and not isinstance(units, str)
    if not valid or not all(is_integer(size) and size >= 1 for size in units):
        fix = f"One hidden layer is `{name}=({units},)`." if is_integer(units) else ""
        expected = "a sequence of integers >= 1, one for each hidden layer"
        raise invalid_argument(name, expected, units, fix)
    return tuple(int(size) for size in units)


def check_layer(name: str, layer) -> None:
    """Raises if `layer` is neither a Keras layer nor `None`."""
    if layer is not None and not isinstance(layer, keras.layers.Layer):
        raise invalid_argument(name, "a keras.layers.Layer or None", layer)


def activation_layer(activation) -> keras.layers.Layer:
    """Returns the layer of an activation, of which `copy_layer` makes the copies."""
    if isinstance(activation, keras.layers.Layer):
        return activation
    if isinstance(activation, type):
        expected = "the name of an activation, a function or a layer"
        fix = f"Pass an instance: `{activation.__name__}()`."
        raise invalid_argument("activation", expected, activation, fix)
    layer = get_object("activation", keras.layers.Activation, activation, "or a layer")
    try:
        copy_layer(layer, name="activation")
    except TypeError:
        raise invalid_argument(
            "activation",
            "a function that Keras can save",
            activation,
            "Decorate it with `@keras.saving.register_keras_serializable()`.",
        ) from None
    return layer


def copy_layer(layer: keras.layers.Layer, name: str) -> keras.layers.Layer:
    """Returns a new layer of the same settings, with no shared state."""
    return type(layer).from_config({**layer.get_config(), "name": name})


def get_initializer(initializer, activation: keras.layers.Layer):
    """Returns the initializer of layers that this activation follows."""
    if isinstance(initializer, str) and initializer == "auto":
        return hidden_initializer(activation)
    get = keras.initializers.get
    return get_object("kernel_initializer", get, initializer, "or 'auto'")


def get_regularizer(regularizer):
    """Returns the regularizer that a name or an object stands for."""
    get = keras.regularizers.get
    return get_object("kernel_regularizer", get, regularizer, "or None")


def get_object(name: str, get: Callable, value, other: str):
    """Returns what Keras makes of a name or an object; says so if it knows none."""
    try:
        return get(value)
    except (ValueError, TypeError):
        expected = f"a Keras name, a Keras object, {other}"
        raise invalid_argument(name, expected, value) from None


def clone_initializer(initializer):
    """Returns a copy for one layer, since an instance draws the same values twice."""
    if isinstance(initializer, keras.initializers.Initializer):
        return initializer.clone()
    return initializer


def preprocessed(
    inputs: keras.KerasTensor,
    augmentation: keras.layers.Layer | None,
    preprocessing: keras.layers.Layer | None,
) -> keras.KerasTensor:
    """Returns the inputs as they are, or after the layers that were asked for."""
    x = inputs
    for layer in (augmentation, preprocessing):
        if layer is not None:
            x = layer(x)
    return x


def flat_features(
    inputs: keras.KerasTensor,
    augmentation: keras.layers.Layer | None,
    preprocessing: keras.layers.Layer | None,
    input_dropout: float,
) -> keras.KerasTensor:
    """Returns the inputs as vectors, after what was asked for."""
    x = preprocessed(inputs, augmentation, preprocessing)
    x = keras.layers.Flatten(name="flatten")(x)
    if input_dropout:
        x = keras.layers.Dropout(input_dropout, name="input_dropout")(x)
    return x


def normalize(x: keras.KerasTensor, kind: str | None, name: str) -> keras.KerasTensor:
    """Returns `x` after a normalization of this kind, or as it is without one.

    The moving statistics of batch normalization forget a tenth at each step. Keras
    forgets a hundredth, and so needs hundreds of steps before it can predict: small
    data have a dozen an epoch.
    """
    if kind is None:
        return x
    options = {"momentum": 0.9} if kind == "batch" else {}
    return NORMALIZATIONS[kind](**options, name=name)(x)


def postprocessed(
    outputs: keras.KerasTensor, layer: keras.layers.Layer | None
) -> keras.KerasTensor:
    """Returns what the last layer makes of the outputs; says so if it does not fit."""
    if layer is None:
        return outputs
    try:
        return layer(outputs)
    except Exception as error:
        expected = f"a layer for outputs of shape {tuple(outputs.shape)}"
        fix = f"Keras says: {error}"
        raise invalid_argument("postprocessing", expected, layer.name, fix) from error


def head(
    x: keras.KerasTensor, num_outputs: int, kernel_regularizer=None
) -> keras.KerasTensor:
    """Returns logits near zero, in float32 even under a mixed precision policy."""
    return keras.layers.Dense(
        num_outputs,
        kernel_initializer=head_initializer(),
        kernel_regularizer=kernel_regularizer,
        dtype=keras.config.dtype_policy().variable_dtype,
        name="head",
    )(x)


def with_log_variance(
    denormalization: keras.layers.Normalization | None, num_targets: int
) -> keras.layers.Normalization | None:
    """Returns a denormalization of means for means that log-variances follow.

    Multiplying a target with its deviation adds the log of its variance to the
    log-variance of its noise: a shift, and so another column of the same layer.
    """
    if denormalization is None:
        return None
    is_one = isinstance(denormalization, keras.layers.Normalization)
    if not is_one or not denormalization.invert or denormalization.input_mean is None:
        raise invalid_argument(
            "postprocessing",
            "`data.denormalization()` or None, where the model learns its noise",
            denormalization,
        )
    size = np.size(denormalization.input_mean)
    if size not in (1, num_targets):
        expected = f"a denormalization of {num_targets} targets"
        raise invalid_argument("postprocessing", expected, f"one of {size}")
    mean, variance = (
        np.broadcast_to(np.ravel(np.asarray(value, "float32")), (num_targets,))
        for value in (denormalization.input_mean, denormalization.input_variance)
    )
    return keras.layers.Normalization(
        axis=-1,
        mean=np.concatenate([mean, np.log(variance)]),
        variance=np.concatenate([variance, np.ones_like(variance)]),
        invert=True,
        dtype=denormalization.dtype_policy,
        name=denormalization.name,
    )
