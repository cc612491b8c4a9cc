"""Multilayer perceptrons."""

from collections.abc import Sequence
from functools import partial

import keras

from .layers import DropConnect, Maxout
from .utils import builders
from .utils.arguments import (
    check_choice,
    check_fraction,
    check_integer,
    invalid_argument,
)
from .utils.initializers import activation_name


def mlp(
    input_shape: Sequence[int],
    num_outputs: int,
    *,
    units: Sequence[int] = (512, 512),
    activation: str | keras.layers.Layer = "relu",
    maxout_pieces: int = 2,
    kernel_initializer="auto",
    kernel_regularizer=None,
    normalization: str | None = None,
    dropout: float = 0.0,
    input_dropout: float = 0.0,
    drop_connect: float = 0.0,
    learn_noise: bool = False,
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

    Where several labels may hold for one example, each output is the logit of one:
    compile with `keras.losses.BinaryCrossentropy(from_logits=True)`, as `data.loss`
    of such data is.

    Args:
        input_shape: Shape of one example, without the batch dimension; it is
            flattened inside the model.
        num_outputs: Integer >= 1: classes (two for a binary problem), labels or
            targets.
        units: Units of each hidden layer, integers >= 1. Defaults to `(512, 512)`.
        activation: Keras name of an activation, a registered function, or an
            activation layer, of which every hidden layer gets a copy, as
            `keras.layers.LeakyReLU(negative_slope=0.1)`. `"maxout"` makes every
            hidden layer a `zoo.layers.Maxout`. Defaults to `"relu"`.
        maxout_pieces: Linear pieces of each unit, an integer >= 1, where `activation`
            is `"maxout"`; unused elsewhere. Defaults to `2`.
        kernel_initializer: Keras initializer of the hidden layers. Defaults to
            `"auto"`: He for ReLU and its relatives, what keeps signals alive for
            Maxout, LeCun for SELU, else Glorot. Biases start at zero.
        kernel_regularizer: Keras regularizer of all kernels. Defaults to `None`.
        normalization: "batch" or "layer", before each activation, after the maximum
            of Maxout. Defaults to `None`.
        dropout: Fraction of the hidden units that is dropped, in [0, 1). With SELU it
            is alpha dropout, which keeps their mean and variance (Klambauer et al.,
            2017). Defaults to `0.0`.
        input_dropout: Fraction of the inputs that is dropped, in [0, 1). Defaults to
            `0.0`.
        drop_connect: Fraction of the weights of hidden layers that is dropped, in
            [0, 1): they are `zoo.layers.DropConnect`. Defaults to `0.0`.
        learn_noise: Whether a regression predicts its noise too: `num_outputs` means,
            then as many log-variances, for `zoo.losses.GaussianNLL`. Metrics of the
            means alone, as `data.metrics`, do not fit such a model. Defaults to
            `False`.
        preprocessing: Layer that the inputs pass first, as `data.normalization()`.
            Defaults to `None`.
        augmentation: Layer that varies the raw inputs in training and leaves them
            alone at inference, as `keras.layers.RandomTranslation`; several go in a
            `keras.Sequential`. Defaults to `None`.
        postprocessing: Layer that the outputs pass last, as `data.denormalization()`
            of a regression, which with `learn_noise` brings log-variances to the
            units of the data too. Defaults to `None`.
        name: Name of the model. Defaults to `"mlp"`.

    Returns:
        An uncompiled functional `keras.Model`: float inputs of shape
        `(batch, *input_shape)` to float32 logits of shape `(batch, num_outputs)`, or
        `(batch, 2 * num_outputs)` with `learn_noise`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> from zoo import mlp
    >>> model = mlp((28, 28, 1), 10, units=(300, 100), dropout=0.2)
    >>> model.count_params() == 785 * 300 + 301 * 100 + 101 * 10
    True
    """
    input_shape = builders.check_vector_shape("input_shape", input_shape)
    num_outputs = check_integer("num_outputs", num_outputs, minimum=1)
    units = builders.check_units("units", units)
    check_choice("normalization", normalization, (None, *builders.NORMALIZATIONS))
    check_fraction("dropout", dropout)
    check_fraction("input_dropout", input_dropout)
    check_fraction("drop_connect", drop_connect)
    check_integer("maxout_pieces", maxout_pieces, minimum=1)
    check_choice("learn_noise", learn_noise, (False, True))
    builders.check_layer("preprocessing", preprocessing)
    builders.check_layer("augmentation", augmentation)
    builders.check_layer("postprocessing", postprocessing)
    is_maxout = isinstance(activation, str) and activation == "maxout"
    if is_maxout and drop_connect:
        expected = "0.0 where `activation` is 'maxout'"
        raise invalid_argument("drop_connect", expected, drop_connect)
    if not is_maxout:
        activation = builders.activation_layer(activation)
        kernel_initializer = builders.get_initializer(kernel_initializer, activation)
    kernel_regularizer = builders.get_regularizer(kernel_regularizer)
    if learn_noise:
        postprocessing = builders.with_log_variance(postprocessing, num_outputs)
        num_outputs = 2 * num_outputs

    hidden_layer = keras.layers.Dense
    if is_maxout:
        hidden_layer = partial(Maxout, pieces=maxout_pieces)
    elif drop_connect:
        hidden_layer = partial(DropConnect, rate=drop_connect)
    dropout_layer = keras.layers.Dropout
    if not is_maxout and activation_name(activation) == "selu":
        dropout_layer = keras.layers.AlphaDropout

    inputs = keras.Input(input_shape, name="input")
    x = builders.flat_features(inputs, augmentation, preprocessing, input_dropout)
    for index, size in enumerate(units, start=1):
        hidden = f"hidden_{index}"
        x = hidden_layer(
            size,
            kernel_initializer=builders.clone_initializer(kernel_initializer),
            kernel_regularizer=kernel_regularizer,
            name=hidden,
        )(x)
        x = builders.normalize(x, normalization, f"{hidden}_normalization")
        if not is_maxout:
            x = builders.copy_layer(activation, name=f"{hidden}_activation")(x)
        if dropout:
            x = dropout_layer(dropout, name=f"{hidden}_dropout")(x)
    outputs = builders.head(x, num_outputs, kernel_regularizer)
    outputs = builders.postprocessed(outputs, postprocessing)
    return keras.Model(inputs, outputs, name=name)
