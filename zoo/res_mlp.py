"""Residual multilayer perceptrons."""

from collections.abc import Sequence

import keras

from .layers import StochasticDepth
from .utils import builders
from .utils.arguments import check_choice, check_fraction, check_integer

RESIDUAL_INITS = ("zero", "scaled", "none")


def res_mlp(
    input_shape: Sequence[int],
    num_outputs: int,
    *,
    units: int = 256,
    num_blocks: int = 4,
    block_units: int | None = None,
    activation: str | keras.layers.Layer = "relu",
    kernel_initializer="auto",
    kernel_regularizer=None,
    normalization: str | None = "batch",
    residual_init: str = "zero",
    dropout: float = 0.0,
    residual_dropout: float = 0.0,
    input_dropout: float = 0.0,
    stochastic_depth: float = 0.0,
    preprocessing: keras.layers.Layer | None = None,
    numerical_embeddings: keras.layers.Layer | None = None,
    categorical_embeddings: keras.layers.Layer | None = None,
    augmentation: keras.layers.Layer | None = None,
    postprocessing: keras.layers.Layer | None = None,
    name: str = "res_mlp",
) -> keras.Model:
    """Builds a residual multilayer perceptron that outputs logits.

    The architecture is the ResNet of Gorishniy et al. (2021, "Revisiting Deep
    Learning Models for Tabular Data", section 3.2), with pre-activation blocks and
    identity skip connections (He et al., 2016). The model has the following layers;
    layers that are not requested are omitted:

    - The linear layer `stem` maps the inputs to `units` values.
    - The branch of block `i` consists of `block_i_normalization`, `block_i_hidden`,
      `block_i_activation`, `block_i_dropout`, `block_i_output`,
      `block_i_residual_dropout` and `block_i_stochastic_depth`. The `block_i` layer
      adds the output of the branch to the input of the block.
    - The last layers are `final_normalization`, `final_activation` and the linear layer
      `head`. The initial outputs of `head` are near zero, and `head` computes in
      float32 even under a mixed precision policy.

    With `num_blocks=0`, the model is an MLP with one hidden layer.

    By default, the last layer of every branch is initialized to zero. The initial
    model therefore computes the same function as a model without blocks, regardless of
    the number of blocks, and 64 blocks train as reliably as 4.

    Args:
        input_shape: Shape of one example, without the batch dimension. The model
            flattens its inputs.
        num_outputs: Integer >= 1, number of classes (two for a binary problem) or
            targets.
        units: Integer >= 1, number of features in the skip connections. Defaults to
            `256`.
        num_blocks: Integer >= 0, number of residual blocks. Defaults to `4`.
        block_units: Integer >= 1, number of units in the hidden layer of each block.
            Defaults to `None`: the same as `units`.
        activation: Name of a Keras activation, a registered function, or an
            activation layer, which is copied for every block. Defaults to `"relu"`.
        kernel_initializer: Keras initializer for the hidden layers in the blocks.
            Defaults to `"auto"`: He normal for ReLU and similar activations, LeCun
            normal for SELU, and Glorot uniform otherwise. Biases start at zero.
        kernel_regularizer: Keras regularizer for all kernels. Defaults to `None`.
        normalization: "batch", "layer" or `None`. Defaults to `"batch"`.
        residual_init: Initialization of the last layer of each branch. Defaults to
            `"zero"`.

            - "zero": All weights are zero.
            - "scaled": The standard deviation of LeCun initialization is divided by the
              square root of `num_blocks`, so that all branches together add as much
              variance as a single branch would without this scaling.
            - "none": LeCun initialization is used. Without normalization, the variance
              then doubles with each block.
        dropout: Fraction of the hidden units to drop in each block, in [0, 1).
            Defaults to `0.0`.
        residual_dropout: Fraction of the outputs to drop in each branch, in [0, 1).
            Defaults to `0.0`.
        input_dropout: Fraction of the inputs, or of their embeddings, to drop, in
            [0, 1). Defaults to `0.0`.
        stochastic_depth: Probability, in [0, 1), that an example skips the last
            block during training. For block `i`, the probability is `i / num_blocks`
            times this value. Defaults to `0.0`.
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
            `data.denormalization()` for regression. Defaults to `None`.
        name: Name of the model. Defaults to `"res_mlp"`.

    Returns:
        An uncompiled functional `keras.Model` that maps float inputs of shape
        `(batch, *input_shape)` to float32 logits of shape `(batch, num_outputs)`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> from zoo import res_mlp
    >>> model = res_mlp((28, 28, 1), 10, units=128, num_blocks=2)
    >>> model.get_layer("block_2").output.shape
    (None, 128)
    """
    input_shape = builders.check_vector_shape("input_shape", input_shape)
    num_outputs = check_integer("num_outputs", num_outputs, minimum=1)
    units = check_integer("units", units, minimum=1)
    num_blocks = check_integer("num_blocks", num_blocks, minimum=0)
    if block_units is None:
        block_units = units
    block_units = check_integer("block_units", block_units, minimum=1)
    check_choice("normalization", normalization, (None, *builders.NORMALIZATIONS))
    check_choice("residual_init", residual_init, RESIDUAL_INITS)
    check_fraction("dropout", dropout)
    check_fraction("residual_dropout", residual_dropout)
    check_fraction("input_dropout", input_dropout)
    check_fraction("stochastic_depth", stochastic_depth)
    builders.check_layer("preprocessing", preprocessing)
    builders.check_embeddings(
        numerical_embeddings, categorical_embeddings, input_shape, preprocessing
    )
    builders.check_layer("augmentation", augmentation)
    builders.check_layer("postprocessing", postprocessing)
    activation = builders.activation_layer(activation)
    kernel_initializer = builders.get_initializer(kernel_initializer, activation)
    kernel_regularizer = builders.get_regularizer(kernel_regularizer)
    last_initializer = _last_initializer(residual_init, num_blocks)

    def dense(x, size, initializer, name):
        return keras.layers.Dense(
            size,
            kernel_initializer=builders.clone_initializer(initializer),
            kernel_regularizer=kernel_regularizer,
            name=name,
        )(x)

    def branch(x, block, skipped):
        x = builders.normalize(x, normalization, f"{block}_normalization")
        x = dense(x, block_units, kernel_initializer, f"{block}_hidden")
        x = builders.copy_layer(activation, f"{block}_activation")(x)
        if dropout:
            x = keras.layers.Dropout(dropout, name=f"{block}_dropout")(x)
        x = dense(x, units, last_initializer, f"{block}_output")
        if residual_dropout:
            layer = keras.layers.Dropout(
                residual_dropout, name=f"{block}_residual_dropout"
            )
            x = layer(x)
        if skipped:
            x = StochasticDepth(skipped, name=f"{block}_stochastic_depth")(x)
        return x

    inputs = keras.Input(input_shape, name="input")
    x = builders.flat_features(
        inputs,
        augmentation,
        preprocessing,
        numerical_embeddings,
        categorical_embeddings,
        input_dropout,
    )
    x = dense(x, units, keras.initializers.LecunNormal(), "stem")
    for index in range(1, num_blocks + 1):
        block = f"block_{index}"
        added = branch(x, block, skipped=stochastic_depth * index / num_blocks)
        x = keras.layers.Add(name=block)([x, added])
    x = builders.normalize(x, normalization, "final_normalization")
    x = builders.copy_layer(activation, "final_activation")(x)
    outputs = builders.head(x, num_outputs, kernel_regularizer)
    outputs = builders.postprocessed(outputs, postprocessing)
    return keras.Model(inputs, outputs, name=name)


def _last_initializer(residual_init: str, num_blocks: int):
    """Returns the initializer for the last layer of each branch."""
    if residual_init == "zero":
        return keras.initializers.Zeros()
    scale = 1 / num_blocks if residual_init == "scaled" and num_blocks else 1.0
    return keras.initializers.VarianceScaling(scale)
