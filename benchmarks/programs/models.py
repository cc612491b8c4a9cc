"""Models of plain Keras layers, with the changes that `Recipe.edits` asks for.

- "bottleneck": one of the hidden layers has a single unit.
- "normalized_unit": the same, followed by a normalization of that single unit.
- "no_flatten": dense layers are applied to single pixels, and then averaged.
- "softmax_layer": the head is followed by a softmax layer.
- "softmax_over_batch": the head is followed by a softmax over the batch axis.
- "dropout_after_head": the head is followed by dropout.
- "always_dropout": dropout stays active during inference.
- "slow_statistics": the moving averages of batch normalization hardly move.
- "frozen", "frozen_hidden": no layer is trainable, or only the head is.
- "stop_gradient": no gradient flows from the head to the hidden layers.
- "wide_pooling": one pooling layer reduces an image to a few values.
- "exponential": the first hidden layer is followed by an exponential.
"""

import keras
from keras import layers

from zoo import lstm, mlp, res_mlp

from .arrays import Arrays
from .recipe import Recipe

SUITABLE = {
    "tanh": "glorot_uniform",
    "sigmoid": "glorot_uniform",
    "selu": "lecun_normal",
}
EMBEDDING = 32


class StopGradient(layers.Layer):
    def call(self, inputs):
        return keras.ops.stop_gradient(inputs)


class AlwaysDropout(layers.Layer):
    """Dropout that ignores the argument `training`."""

    def __init__(self, rate):
        super().__init__()
        self.dropout = layers.Dropout(rate)

    def call(self, inputs):
        return self.dropout(inputs, training=True)


def make_model(recipe: Recipe, arrays: Arrays) -> keras.Model:
    """Returns the uncompiled model of a recipe."""
    if recipe.builder == "zoo":
        return make_zoo_model(recipe, arrays)
    inputs = keras.Input(arrays.x.shape[1:])
    hidden = FAMILIES[recipe.family](recipe, arrays, inputs)
    model = keras.Model(inputs, add_head(recipe, arrays, hidden))
    if "frozen" in recipe.edits or "frozen_hidden" in recipe.edits:
        for layer in model.layers:
            layer.trainable = layer.name == "head" and "frozen" not in recipe.edits
    return model


def make_zoo_model(recipe: Recipe, arrays: Arrays) -> keras.Model:
    """Returns a model of a builder in `zoo`. These builders support no edits."""
    shape, outputs = arrays.x.shape[1:], num_outputs(recipe, arrays)
    settings = {"dropout": recipe.dropout}
    if recipe.family == "lstm":
        units = (recipe.width,) * recipe.depth
        settings |= {"vocabulary_size": arrays.tokens or None, "units": units}
        return lstm(shape, outputs, embedding_size=EMBEDDING, **settings)
    settings["activation"] = recipe.activation
    settings["normalization"] = recipe.normalization or None
    settings["kernel_regularizer"] = regularizer(recipe)
    if recipe.initializer != "auto":
        settings["kernel_initializer"] = initializer(recipe)
    if recipe.family == "res_mlp":
        return res_mlp(
            shape, outputs, units=recipe.width, num_blocks=recipe.depth, **settings
        )
    return mlp(shape, outputs, units=(recipe.width,) * recipe.depth, **settings)


def num_outputs(recipe: Recipe, arrays: Arrays) -> int:
    return recipe.outputs or arrays.num_outputs


def initializer(recipe: Recipe):
    """Returns a new initializer of the hidden layers."""
    kind, _, value = recipe.initializer.partition(":")
    if kind == "normal":
        return keras.initializers.RandomNormal(stddev=float(value))
    if kind == "constant":
        return keras.initializers.Constant(float(value))
    if kind == "auto":
        return keras.initializers.get(SUITABLE.get(recipe.activation, "he_normal"))
    return keras.initializers.get(kind)


def regularizer(recipe: Recipe):
    return keras.regularizers.L2(recipe.l2) if recipe.l2 else None


def weights(recipe: Recipe) -> dict:
    """Returns the arguments that all hidden layers with a kernel share."""
    return {
        "kernel_initializer": initializer(recipe),
        "kernel_regularizer": regularizer(recipe),
        "bias_initializer": keras.initializers.Constant(recipe.bias),
    }


def dense(recipe: Recipe, units: int):
    return layers.Dense(units, **weights(recipe))


def activate(recipe: Recipe, x):
    """Adds normalization, activation and dropout."""
    if recipe.normalization == "batch":
        slow = "slow_statistics" in recipe.edits
        x = layers.BatchNormalization(momentum=0.9999 if slow else 0.9)(x)
    elif recipe.normalization == "layer":
        x = layers.LayerNormalization()(x)
    x = layers.Activation(recipe.activation)(x)
    if "always_dropout" in recipe.edits:
        return AlwaysDropout(recipe.dropout)(x)
    return layers.Dropout(recipe.dropout)(x) if recipe.dropout else x


def narrow(recipe: Recipe, x):
    """Adds the layer of a single unit, if the recipe asks for it."""
    if "bottleneck" in recipe.edits or "normalized_unit" in recipe.edits:
        x = dense(recipe, 1)(x)
        if "normalized_unit" in recipe.edits:
            x = layers.LayerNormalization()(x)
        x = layers.Activation("tanh")(x)
    return x


def flat(arrays: Arrays, inputs):
    """Returns one vector per example."""
    if arrays.tokens:
        x = layers.Embedding(arrays.tokens, EMBEDDING)(inputs)
        return layers.GlobalAveragePooling1D()(x)
    return layers.Flatten()(inputs) if len(inputs.shape) > 2 else inputs


def mlp_layers(recipe: Recipe, arrays: Arrays, inputs):
    by_pixel = "no_flatten" in recipe.edits
    x = inputs if by_pixel else flat(arrays, inputs)
    for index in range(recipe.depth):
        x = activate(recipe, dense(recipe, recipe.width)(x))
        if index == 0:
            x = narrow(recipe, x)
            if "exponential" in recipe.edits:
                x = layers.Activation("exponential")(x)
    return layers.GlobalAveragePooling2D()(x) if by_pixel else x


def res_mlp_layers(recipe: Recipe, arrays: Arrays, inputs):
    x = dense(recipe, recipe.width)(flat(arrays, inputs))
    for index in range(recipe.depth):
        branch = dense(recipe, recipe.width)(activate(recipe, x))
        branch = layers.Activation(recipe.activation)(branch)
        zeros = {"kernel_initializer": "zeros"} if recipe.initializer == "auto" else {}
        branch = layers.Dense(recipe.width, **(weights(recipe) | zeros))(branch)
        x = layers.Add()([x, branch])
        if index == 0:
            x = narrow(recipe, x)
    return activate(recipe, x)


def lstm_layers(recipe: Recipe, arrays: Arrays, inputs):
    x = inputs
    if arrays.tokens:
        x = layers.Embedding(arrays.tokens, EMBEDDING, mask_zero=True)(x)
    elif len(inputs.shape) == 4:
        x = layers.Reshape((inputs.shape[1], -1))(x)
    for index in range(recipe.depth):
        settings = {"kernel_regularizer": regularizer(recipe)}
        if recipe.initializer != "auto":
            settings["kernel_initializer"] = initializer(recipe)
            settings["recurrent_initializer"] = initializer(recipe)
        x = layers.LSTM(
            recipe.width,
            activation=recipe.activation,
            return_sequences=index < recipe.depth - 1,
            **settings,
        )(x)
        if "always_dropout" in recipe.edits:
            x = AlwaysDropout(recipe.dropout)(x)
        elif recipe.dropout:
            x = layers.Dropout(recipe.dropout)(x)
    return narrow(recipe, x)


def cnn_layers(recipe: Recipe, arrays: Arrays, inputs):
    x = inputs
    if arrays.tokens:
        x = layers.Embedding(arrays.tokens, EMBEDDING)(x)
    is_image = len(inputs.shape) == 4
    conv = layers.Conv2D if is_image else layers.Conv1D
    pool = layers.MaxPooling2D if is_image else layers.MaxPooling1D
    sizes = (8, 16, 16)[: recipe.depth]
    for index, filters in enumerate(sizes):
        x = conv(filters, 3, padding="same", **weights(recipe))(x)
        x = activate(recipe, x)
        if index < 2:
            wide = "wide_pooling" in recipe.edits and index == 0
            x = pool(min(x.shape[1], 14) if wide else 2, padding="same")(x)
    x = layers.GlobalMaxPooling1D()(x) if arrays.tokens else layers.Flatten()(x)
    return narrow(recipe, activate(recipe, dense(recipe, recipe.width)(x)))


def add_head(recipe: Recipe, arrays: Arrays, x):
    """Adds the last layer, and the layers that edits place after it."""
    if "stop_gradient" in recipe.edits:
        x = StopGradient()(x)
    units, activation = num_outputs(recipe, arrays), recipe.head
    x = layers.Dense(units, activation=activation, name="head", dtype="float32")(x)
    if "softmax_layer" in recipe.edits:
        x = layers.Softmax()(x)
    if "softmax_over_batch" in recipe.edits:
        x = layers.Softmax(axis=0)(x)
    if "dropout_after_head" in recipe.edits:
        x = layers.Dropout(0.5)(x)
    return x


FAMILIES = {
    "mlp": mlp_layers,
    "res_mlp": res_mlp_layers,
    "lstm": lstm_layers,
    "cnn": cnn_layers,
}
