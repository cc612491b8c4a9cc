"""Multilayer perceptrons."""

from collections.abc import Sequence

import keras

from .arguments import (
    check_choice,
    check_fraction,
    check_integer,
    check_shape,
    invalid_argument,
    is_integer,
)
from .initializers import head_initializer, hidden_initializer

NORMALIZATIONS = {
    "batch": keras.layers.BatchNormalization,
    "layer": keras.layers.LayerNormalization,
}


def mlp(
    input_shape: Sequence[int],
    num_outputs: int,
    *,
    units: Sequence[int] = (512, 512),
    activation: str | keras.layers.Layer = "relu",
    kernel_initializer="auto",
    kernel_regularizer=None,
    normalization: str | None = None,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    preprocessing: keras.layers.Layer | None = None,
    augmentation: keras.layers.Layer | None = None,
    postprocessing: keras.layers.Layer | None = None,
    name: str = "mlp",
) -> keras.Model:
    """Builds a multilayer perceptron that ends in logits.

    Every hidden layer `i` is a dense layer `hidden_i`, then, where they are asked
    for, `hidden_i_normalization`, `hidden_i_activation` and `hidden_i_dropout`. The
    last layer, `head`, is linear, starts near zero and computes in float32 even under
    a mixed precision policy. With `units=()` the model is linear.

    Args:
        input_shape: Shape of one example, without the batch dimension; it is
            flattened inside the model.
        num_outputs: Integer >= 1: classes (two for a binary problem) or targets.
        units: Units of each hidden layer, integers >= 1. Defaults to `(512, 512)`.
        activation: Keras name of an activation, a registered function, or an
            activation layer, of which every hidden layer gets a copy. Defaults to
            `"relu"`.
        kernel_initializer: Keras initializer of the hidden layers. Defaults to
            `"auto"`: He for ReLU and its relatives, LeCun for SELU, else Glorot.
            Biases start at zero.
        kernel_regularizer: Keras regularizer of all kernels. Defaults to `None`.
        normalization: "batch" or "layer", before each activation. Defaults to
            `None`.
        dropout: Fraction of the hidden units that is dropped, in [0, 1). Defaults to
            `0.0`.
        input_dropout: Fraction of the inputs that is dropped, in [0, 1). Defaults to
            `0.0`.
        preprocessing: Layer that the inputs pass first, as `data.normalization()`.
            Defaults to `None`.
        augmentation: Layer that varies the raw inputs in training and leaves them
            alone at inference, as `keras.layers.RandomTranslation`; several go in a
            `keras.Sequential`. Defaults to `None`.
        postprocessing: Layer that the outputs pass last, as `data.denormalization()`
            of a regression. Defaults to `None`.
        name: Name of the model. Defaults to `"mlp"`.

    Returns:
        An uncompiled functional `keras.Model`: float inputs of shape
        `(batch, *input_shape)` to float32 logits of shape `(batch, num_outputs)`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> from zoo import mlp
    >>> model = mlp((28, 28, 1), 10, units=(300, 100), dropout=0.2)
    >>> model.count_params() == 785 * 300 + 301 * 100 + 101 * 10
    True
    """
    input_shape = check_shape("input_shape", input_shape)
    num_outputs = check_integer("num_outputs", num_outputs, minimum=1)
    units = _check_units(units)
    check_choice("normalization", normalization, (None, *NORMALIZATIONS))
    check_fraction("dropout", dropout)
    check_fraction("input_dropout", input_dropout)
    _check_layer("preprocessing", preprocessing)
    _check_layer("augmentation", augmentation)
    _check_layer("postprocessing", postprocessing)
    activation = _activation_layer(activation)
    kernel_initializer = _initializer(kernel_initializer, activation)
    kernel_regularizer = _get(
        "kernel_regularizer", keras.regularizers.get, kernel_regularizer, "or None"
    )

    inputs = keras.Input(input_shape, name="input")
    x = inputs
    for layer in (augmentation, preprocessing):
        if layer is not None:
            x = layer(x)
    x = keras.layers.Flatten(name="flatten")(x)
    if input_dropout:
        x = keras.layers.Dropout(input_dropout, name="input_dropout")(x)
    for index, size in enumerate(units, start=1):
        hidden = f"hidden_{index}"
        x = keras.layers.Dense(
            size,
            kernel_initializer=_clone(kernel_initializer),
            kernel_regularizer=kernel_regularizer,
            name=hidden,
        )(x)
        if normalization is not None:
            x = NORMALIZATIONS[normalization](name=f"{hidden}_normalization")(x)
        x = _copy(activation, name=f"{hidden}_activation")(x)
        if dropout:
            x = keras.layers.Dropout(dropout, name=f"{hidden}_dropout")(x)
    outputs = keras.layers.Dense(
        num_outputs,
        kernel_initializer=head_initializer(),
        kernel_regularizer=kernel_regularizer,
        dtype=keras.config.dtype_policy().variable_dtype,
        name="head",
    )(x)
    if postprocessing is not None:
        outputs = postprocessing(outputs)
    return keras.Model(inputs, outputs, name=name)


def _check_units(units) -> tuple[int, ...]:
    valid = isinstance(units, Sequence) and not isinstance(units, str)
    if not valid or not all(is_integer(size) and size >= 1 for size in units):
        fix = f"One hidden layer is `units=({units},)`." if is_integer(units) else ""
        raise invalid_argument(
            "units",
            "a sequence of integers >= 1, one for each hidden layer",
            units,
            fix,
        )
    return tuple(int(size) for size in units)


def _check_layer(name: str, layer) -> None:
    if layer is not None and not isinstance(layer, keras.layers.Layer):
        raise invalid_argument(name, "a keras.layers.Layer or None", layer)


def _activation_layer(activation) -> keras.layers.Layer:
    if isinstance(activation, keras.layers.Layer):
        return activation
    layer = _get("activation", keras.layers.Activation, activation, "or a layer")
    try:
        _copy(layer, name="activation")
    except TypeError:
        raise invalid_argument(
            "activation",
            "a function that Keras can save",
            activation,
            "Decorate it with `@keras.saving.register_keras_serializable()`.",
        ) from None
    return layer


def _copy(layer: keras.layers.Layer, name: str) -> keras.layers.Layer:
    """A new layer of the same settings under another name, with no shared state."""
    return type(layer).from_config({**layer.get_config(), "name": name})


def _initializer(initializer, activation):
    if isinstance(initializer, str) and initializer == "auto":
        return hidden_initializer(activation)
    return _get("kernel_initializer", keras.initializers.get, initializer, "or 'auto'")


def _get(name: str, get, value, other: str):
    """Returns what Keras makes of a name or an object; says so if it knows none."""
    try:
        return get(value)
    except (ValueError, TypeError):
        expected = f"a Keras name, a Keras object, {other}"
        raise invalid_argument(name, expected, value) from None


def _clone(initializer):
    """A copy for every layer, since one instance draws the same values each time."""
    if isinstance(initializer, keras.initializers.Initializer):
        return initializer.clone()
    return initializer
