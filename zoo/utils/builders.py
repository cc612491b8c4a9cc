"""Checks and layers shared by the model builders."""

import inspect
from collections.abc import Callable, Sequence

import keras
import numpy as np

from .arguments import check_shape, close_match, invalid_argument, is_integer
from .initializers import (
    head_initializer,
    hidden_initializer,
    member_head_initializer,
)
from .token_shape import TokenShape

NORMALIZATIONS = {
    "batch": keras.layers.BatchNormalization,
    "layer": keras.layers.LayerNormalization,
}


def check_vector_shape(name: str, shape) -> tuple[int, ...]:
    """Checks the shape of numeric examples, and returns the shape as a tuple of ints.

    The shape of token ids is rejected.
    """
    if isinstance(shape, TokenShape):
        raise invalid_argument(
            name,
            "the shape of images, of table rows or of other examples made of numbers",
            shape,
            "These examples are token ids, which are not quantities: embed them, as "
            "`zoo.lstm(..., vocabulary_size=len(data.vocabulary))` does.",
        )
    return check_shape(name, shape)


def check_units(name: str, units) -> tuple[int, ...]:
    """Returns layer sizes as a tuple; raises an error unless all are integers >= 1."""
    valid = isinstance(units, Sequence) and not isinstance(units, str)
    if not valid or not all(is_integer(size) and size >= 1 for size in units):
        fix = f"One hidden layer is `{name}=({units},)`." if is_integer(units) else ""
        expected = "a sequence of integers >= 1, one for each hidden layer"
        raise invalid_argument(name, expected, units, fix)
    return tuple(int(size) for size in units)


def check_layer(name: str, layer) -> None:
    """Raises an error unless `layer` is a Keras layer or `None`."""
    if layer is not None and not isinstance(layer, keras.layers.Layer):
        fix = ""
        if inspect.ismethod(layer):
            fix = f"Call the method: `{layer.__name__}()`."
        elif inspect.isclass(layer) and issubclass(layer, keras.layers.Layer):
            fix = f"Pass an instance: `{layer.__name__}(...)`."
        elif callable(layer):
            fix = (
                "Pass a layer, such as `keras.layers.Rescaling`, or wrap the function: "
                "`keras.layers.Lambda(function)`."
            )
        raise invalid_argument(name, "a keras.layers.Layer or None", layer, fix)


def check_embeddings(
    numerical: keras.layers.Layer | None,
    categorical: keras.layers.Layer | None,
    input_shape: tuple[int, ...],
    preprocessing: keras.layers.Layer | None,
) -> None:
    """Raises an error unless the layers can embed the columns of the inputs.

    A layer that adapts to data sees raw inputs when it adapts, so it must not follow
    another layer in the model.
    """
    names = ("numerical_embeddings", "categorical_embeddings")
    for name, layer in zip(names, (numerical, categorical), strict=True):
        check_layer(name, layer)
        if layer is not None and len(input_shape) != 1:
            expected = (
                f"None for inputs of shape {input_shape}, which are no table rows"
            )
            raise invalid_argument(name, expected, layer)
    if preprocessing is not None and hasattr(numerical, "adapt"):
        raise invalid_argument(
            "preprocessing",
            "None if `numerical_embeddings` has adapted to raw inputs",
            preprocessing,
            "The bins of this layer normalize the inputs.",
        )
    if categorical is not None:
        _check_categorical(categorical, numerical, input_shape[0], preprocessing)


def _check_categorical(categorical, numerical, width: int, preprocessing) -> None:
    name = "categorical_embeddings"
    if not hasattr(categorical, "other_columns"):
        expected = "a zoo.layers.CategoricalEmbeddings or None"
        fix = "For data from `zoo.datasets`, pass `data.categorical_embeddings()`."
        raise invalid_argument(name, expected, categorical, fix)
    if getattr(preprocessing, "mixes_columns", False):
        expected = f"a layer that keeps columns apart, if `{name}` is given"
        fix = "Use `data.normalization()`."
        raise invalid_argument("preprocessing", expected, preprocessing, fix)
    blocks = categorical.columns.values()
    if max(stop for _, stop in blocks) > width:
        expected = f"columns of a table of {width} columns"
        raise invalid_argument(name, expected, categorical.columns)
    others = width - sum(stop - start for start, stop in blocks)
    if numerical is not None and not others:
        expected = f"None if `{name}` embeds all columns"
        raise invalid_argument("numerical_embeddings", expected, numerical)
    bins = getattr(numerical, "bin_boundaries", None)
    if bins is not None and len(bins) != others:
        raise invalid_argument(
            "numerical_embeddings",
            f"bins for the {others} columns that `{name}` does not embed",
            f"bins for {len(bins)} columns",
            "Adapt the layer to these: `numerical.adapt(categorical.other_columns(x) "
            "for x, _ in data.train)`.",
        )


def activation_layer(activation) -> keras.layers.Layer:
    """Converts an activation to a layer that `copy_layer` can copy."""
    if isinstance(activation, keras.layers.Layer):
        return activation
    if isinstance(activation, type):
        expected = "the name of an activation, a function or a layer"
        fix = f"Pass an instance: `{activation.__name__}()`."
        raise invalid_argument("activation", expected, activation, fix)
    names = dir(keras.activations)
    get = keras.layers.Activation
    layer = get_object("activation", get, activation, "or a layer", names)
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
    """Returns a copy of a layer, with a new name and no shared state."""
    return type(layer).from_config({**layer.get_config(), "name": name})


def get_initializer(initializer, activation: keras.layers.Layer):
    """Returns the kernel initializer for layers that precede the given activation."""
    if isinstance(initializer, str) and initializer == "auto":
        return hidden_initializer(activation)
    get = keras.initializers.get
    names = dir(keras.initializers)
    return get_object("kernel_initializer", get, initializer, "or 'auto'", names)


def get_regularizer(regularizer):
    """Converts a name or object to a Keras regularizer; `None` stays `None`."""
    get = keras.regularizers.get
    names = dir(keras.regularizers)
    return get_object("kernel_regularizer", get, regularizer, "or None", names)


def get_object(name: str, get: Callable, value, other: str, names: list[str]):
    """Converts a name or object to a Keras object; raises an error if this fails.

    Args:
        name: Name of the argument.
        get: Function that converts `value`.
        value: Name or object.
        other: Description of the other valid values.
        names: Valid names.
    """
    try:
        return get(value)
    except (ValueError, TypeError):
        expected = f"a Keras name, a Keras object, {other}"
        raise invalid_argument(
            name, expected, value, close_match(value, names)
        ) from None


def clone_initializer(initializer):
    """Returns a copy of an initializer for use in one layer.

    A shared initializer would return the same random values in every layer.
    """
    if isinstance(initializer, keras.initializers.Initializer):
        return initializer.clone()
    return initializer


def preprocessed(
    inputs: keras.KerasTensor,
    augmentation: keras.layers.Layer | None,
    preprocessing: keras.layers.Layer | None,
) -> keras.KerasTensor:
    """Applies the augmentation and preprocessing layers, if given, to the inputs."""
    x = inputs
    for layer in (augmentation, preprocessing):
        if layer is not None:
            x = layer(x)
    return x


def flat_features(
    inputs: keras.KerasTensor,
    augmentation: keras.layers.Layer | None,
    preprocessing: keras.layers.Layer | None,
    numerical_embeddings: keras.layers.Layer | None,
    categorical_embeddings: keras.layers.Layer | None,
    input_dropout: float,
) -> keras.KerasTensor:
    """Returns the preprocessed and embedded inputs as flat vectors, with dropout.

    The categorical embeddings see raw one-hot columns, and their vectors are last.
    """
    raw = preprocessed(inputs, augmentation, None)
    x = preprocessed(raw, None, preprocessing)
    if categorical_embeddings is not None:
        if x.shape != raw.shape:
            expected = f"a layer that keeps columns apart, with {raw.shape[-1]} outputs"
            raise invalid_argument("preprocessing", expected, preprocessing)
        x = categorical_embeddings.other_columns(x)
    if numerical_embeddings is not None:
        x = numerical_embeddings(x)
    x = keras.layers.Flatten(name="flatten")(x)
    if categorical_embeddings is not None:
        vectors = categorical_embeddings(raw)
        x = keras.layers.Concatenate(name="features")([x, vectors])
    if input_dropout:
        x = keras.layers.Dropout(input_dropout, name="input_dropout")(x)
    return x


def normalize(x: keras.KerasTensor, kind: str | None, name: str) -> keras.KerasTensor:
    """Applies a normalization layer to `x`, or returns `x` if `kind` is `None`.

    Batch normalization uses a momentum of 0.9. With the Keras default of 0.99, the
    moving statistics are accurate enough for predictions only after hundreds of steps,
    whereas an epoch on a small dataset has only about a dozen steps.
    """
    if kind is None:
        return x
    options = {"momentum": 0.9} if kind == "batch" else {}
    return NORMALIZATIONS[kind](**options, name=name)(x)


def postprocessed(
    outputs: keras.KerasTensor, layer: keras.layers.Layer | None
) -> keras.KerasTensor:
    """Applies the postprocessing layer, if given; raises an error if this fails."""
    if layer is None:
        return outputs
    try:
        return layer(outputs)
    except Exception as error:
        expected = f"a layer for outputs of shape {tuple(outputs.shape)}"
        fix = f"Keras says: {error}"
        raise invalid_argument("postprocessing", expected, layer.name, fix) from error


def head(
    x: keras.KerasTensor,
    num_outputs: int,
    kernel_regularizer=None,
    ensemble_size: int = 1,
) -> keras.KerasTensor:
    """Adds the output layer, with weights for each member, and returns its logits.

    The logits are initially near zero, and have dtype float32 even under a mixed
    precision policy.
    """
    options = {
        "kernel_regularizer": kernel_regularizer,
        "dtype": keras.config.dtype_policy().variable_dtype,
        "name": "head",
    }
    if ensemble_size == 1:
        initializer = head_initializer()
        layer = keras.layers.Dense(
            num_outputs, kernel_initializer=initializer, **options
        )
        return layer(x)
    layer = keras.layers.EinsumDense(
        "bmi,mio->bmo",
        output_shape=(ensemble_size, num_outputs),
        bias_axes="mo",
        kernel_initializer=member_head_initializer(x.shape[-1]),
        **options,
    )
    return layer(x)


def with_log_variance(
    denormalization: keras.layers.Normalization | None, num_targets: int
) -> keras.layers.Normalization | None:
    """Returns a layer that denormalizes means and the log-variances that follow them.

    Multiplying a target by its standard deviation adds the log of its variance to the
    log-variance of its noise. The returned layer therefore has an additional column for
    each target, which adds this constant to the log-variance.
    """
    if denormalization is None:
        return None
    is_one = isinstance(denormalization, keras.layers.Normalization)
    if not is_one or not denormalization.invert or denormalization.input_mean is None:
        raise invalid_argument(
            "postprocessing",
            "`data.denormalization()` or None, if the model learns its noise",
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
