"""Multilayer perceptrons."""

from collections.abc import Sequence

import keras

from . import parts
from .arguments import check_choice, check_fraction, check_integer


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
    input_shape = parts.check_vector_shape("input_shape", input_shape)
    num_outputs = check_integer("num_outputs", num_outputs, minimum=1)
    units = parts.check_units("units", units)
    check_choice("normalization", normalization, (None, *parts.NORMALIZATIONS))
    check_fraction("dropout", dropout)
    check_fraction("input_dropout", input_dropout)
    parts.check_layer("preprocessing", preprocessing)
    parts.check_layer("augmentation", augmentation)
    parts.check_layer("postprocessing", postprocessing)
    activation = parts.activation_layer(activation)
    kernel_initializer = parts.get_initializer(kernel_initializer, activation)
    kernel_regularizer = parts.get_regularizer(kernel_regularizer)

    inputs = keras.Input(input_shape, name="input")
    x = parts.flat_features(inputs, augmentation, preprocessing, input_dropout)
    for index, size in enumerate(units, start=1):
        hidden = f"hidden_{index}"
        x = keras.layers.Dense(
            size,
            kernel_initializer=parts.clone_initializer(kernel_initializer),
            kernel_regularizer=kernel_regularizer,
            name=hidden,
        )(x)
        x = parts.normalize(x, normalization, f"{hidden}_normalization")
        x = parts.copy_layer(activation, name=f"{hidden}_activation")(x)
        if dropout:
            x = keras.layers.Dropout(dropout, name=f"{hidden}_dropout")(x)
    outputs = parts.head(x, num_outputs, kernel_regularizer)
    if postprocessing is not None:
        outputs = postprocessing(outputs)
    return keras.Model(inputs, outputs, name=name)
