"""Multilayer perceptrons."""

from collections.abc import Sequence
from functools import partial

import keras

from .layers import BatchEnsembleDense, DropConnect, Maxout
from .utils import builders
from .utils.arguments import (
    check_choice,
    check_fraction,
    check_integer,
    invalid_argument,
)
from .utils.initializers import activation_name
from .utils.member_model import MemberAverage, MemberModel


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
    ensemble_size: int = 1,
    preprocessing: keras.layers.Layer | None = None,
    numerical_embeddings: keras.layers.Layer | None = None,
    categorical_embeddings: keras.layers.Layer | None = None,
    augmentation: keras.layers.Layer | None = None,
    postprocessing: keras.layers.Layer | None = None,
    name: str = "mlp",
) -> keras.Model:
    """Builds a multilayer perceptron that outputs logits.

    Hidden layer `i` consists of the dense layer `hidden_i`, `hidden_i_normalization`,
    `hidden_i_activation` and `hidden_i_dropout`; layers that are not requested are
    omitted. The last layer, `head`, is linear. Its initial outputs are near zero, and
    it computes in float32 even under a mixed precision policy. With `units=()`, the
    model is linear.

    For multi-label classification, each output is the logit of one label. Compile the
    model with `keras.losses.BinaryCrossentropy(from_logits=True)`, which is the value
    of `data.loss` for multi-label data.

    Args:
        input_shape: Shape of one example, without the batch dimension. The model
            flattens its inputs.
        num_outputs: Integer >= 1, number of classes (two for a binary problem), labels
            or targets.
        units: Integers >= 1, number of units in each hidden layer. Defaults to
            `(512, 512)`.
        activation: Name of a Keras activation, a registered function, or an
            activation layer, such as `keras.layers.LeakyReLU(negative_slope=0.1)`,
            which is copied for every hidden layer. With `"maxout"`, every hidden
            layer is a `zoo.layers.Maxout`. Defaults to `"relu"`.
        maxout_pieces: Integer >= 1, number of linear pieces per unit. Used only if
            `activation` is `"maxout"`. Defaults to `2`.
        kernel_initializer: Keras initializer for the hidden layers. Defaults to
            `"auto"`: He normal for ReLU and similar activations, LeCun normal for SELU,
            Glorot uniform for other activations and, for Maxout, a normal distribution
            that preserves the second moment of the signals. Biases start at zero.
        kernel_regularizer: Keras regularizer for all kernels. Defaults to `None`.
        normalization: "batch", "layer" or `None`. The normalization is applied before
            each activation or, with Maxout, after the maximum. Defaults to `None`.
        dropout: Fraction of the hidden units to drop, in [0, 1). With SELU, alpha
            dropout is used, which preserves the mean and variance of the units
            (Klambauer et al., 2017). Defaults to `0.0`.
        input_dropout: Fraction of the inputs, or of their embeddings, to drop, in
            [0, 1). Defaults to `0.0`.
        drop_connect: Fraction of the weights of the hidden layers to drop with
            `zoo.layers.DropConnect`, in [0, 1). Must be 0.0 with Maxout. Defaults to
            `0.0`.
        learn_noise: Whether a regression model also predicts the noise. The model then
            outputs `num_outputs` means, followed by as many log-variances, as
            `zoo.losses.GaussianNLL` expects. Metrics that expect only means, such as
            `data.metrics`, cannot be used with such a model. Defaults to `False`.
        ensemble_size: Integer >= 1, number of members that share most of their weights
            (TabM; Gorishniy et al., 2025). The hidden layers are
            `zoo.layers.BatchEnsembleDense`, and each member has its own head. In
            training, the loss is the mean of the losses of the members; otherwise,
            the model outputs the average of their logits. Batch normalization uses the
            statistics of all members together. With more than one member, a hidden
            layer is required, and Maxout, `drop_connect` and `learn_noise` are not
            supported. Defaults to `1`.
        preprocessing: Layer applied to the inputs, for example `data.normalization()`.
            Any augmentation is applied first. Defaults to `None`.
        numerical_embeddings: Layer that embeds each column of a table after
            preprocessing, such as `zoo.layers.PeriodicEmbeddings` or
            `zoo.layers.PiecewiseLinearEmbeddings`. Models built with the same layer
            share its weights. Defaults to `None`.
        categorical_embeddings: Layer that replaces one-hot columns of a table with
            learned vectors, such as `data.categorical_embeddings()`. All other columns
            are preprocessed and embedded as above, so `preprocessing` must keep the
            columns apart. Models built with the same layer share its weights. Defaults
            to `None`.
        augmentation: Layer that randomly changes the raw inputs during training and
            leaves them unchanged during inference, such as
            `keras.layers.RandomTranslation`. To combine several layers, use a
            `keras.Sequential`. Defaults to `None`.
        postprocessing: Layer applied to the outputs of the model, such as
            `data.denormalization()` for regression. With `learn_noise`, the layer also
            converts the log-variances to the units of the data. Defaults to `None`.
        name: Name of the model. Defaults to `"mlp"`.

    Returns:
        An uncompiled functional `keras.Model` that maps float inputs of shape
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
    ensemble_size = check_integer("ensemble_size", ensemble_size, minimum=1)
    builders.check_layer("preprocessing", preprocessing)
    builders.check_embeddings(
        numerical_embeddings, categorical_embeddings, input_shape, preprocessing
    )
    builders.check_layer("augmentation", augmentation)
    builders.check_layer("postprocessing", postprocessing)
    is_maxout = isinstance(activation, str) and activation == "maxout"
    if is_maxout and drop_connect:
        expected = "0.0 if `activation` is 'maxout'"
        raise invalid_argument("drop_connect", expected, drop_connect)
    if not is_maxout:
        activation = builders.activation_layer(activation)
        kernel_initializer = builders.get_initializer(kernel_initializer, activation)
    if ensemble_size > 1 and (is_maxout or drop_connect or learn_noise or not units):
        expected = "1 with Maxout, `drop_connect`, `learn_noise` or no hidden layer"
        raise invalid_argument("ensemble_size", expected, ensemble_size)
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
    x = builders.flat_features(
        inputs,
        augmentation,
        preprocessing,
        numerical_embeddings,
        categorical_embeddings,
        input_dropout,
    )
    for index, size in enumerate(units, start=1):
        if ensemble_size > 1:
            settings = {}
            if index == 1:
                settings = _first_member_layer(
                    x.shape[-1], numerical_embeddings, categorical_embeddings
                )
            hidden_layer = partial(
                BatchEnsembleDense, ensemble_size=ensemble_size, **settings
            )
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
    outputs = builders.head(x, num_outputs, kernel_regularizer, ensemble_size)
    outputs = builders.postprocessed(outputs, postprocessing)
    if ensemble_size == 1:
        return keras.Model(inputs, outputs, name=name)
    # NOTE[DIFF] The paper averages the probabilities of classes. Here, logits are
    # averaged, because a model does not know its task.
    outputs = MemberAverage(dtype=outputs.dtype, name="average")(outputs)
    return MemberModel(inputs, outputs, name=name)


def _first_member_layer(features: int, numerical, categorical) -> dict:
    """Returns the settings of TabM for the first hidden layer of members.

    Only the scales of its inputs are random. They are the same for all components of
    the embedding of a column.
    """
    column_size = getattr(numerical, "output_dim", 1)
    if categorical is not None:
        sizes = categorical.output_dims
        others = (features - sum(sizes)) // column_size
        column_size = [column_size] * others + sizes
    scales = "random_signs" if numerical is None else "normal"
    return {"input_scales": scales, "column_size": column_size}
