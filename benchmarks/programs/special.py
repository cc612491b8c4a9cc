"""Healthy programs that a recipe cannot describe: other models, losses and loops."""

import dataclasses
import math

import keras
import numpy as np
from keras import layers

from zoo import lstm, mlp, res_mlp
from zoo.losses import GaussianNLL, MulticlassHinge

from .arrays import Arrays
from .compiling import compile_model, make_optimizer
from .models import make_model
from .program import Training, fit_arguments
from .recipe import Recipe

SPECIAL = {}


def special(function):
    SPECIAL[function.__name__] = function
    return function


def compiled(model, recipe, arrays, **fit) -> Training:
    """Compiles a model as the recipe says."""
    compile_model(model, recipe, arrays)
    return Training(model, arrays, fit_arguments(recipe, arrays) | fit)


@special
def autoencoder(recipe: Recipe, arrays: Arrays) -> Training:
    """The targets are the inputs, which are in [0, 1]."""
    flat = [x.reshape(len(x), -1) for x in (arrays.x, arrays.x_val, arrays.x_test)]
    arrays.x, arrays.x_val, arrays.x_test = flat
    arrays.y, arrays.y_val, arrays.y_test = flat
    arrays.task, arrays.num_outputs = "regression", flat[0].shape[1]
    inputs = keras.Input((arrays.num_outputs,))
    x = layers.Dense(96, activation="relu", kernel_initializer="he_normal")(inputs)
    code = layers.Dense(16, activation="relu")(x)
    x = layers.Dense(96, activation="relu", kernel_initializer="he_normal")(code)
    outputs = layers.Dense(arrays.num_outputs, activation="sigmoid")(x)
    model = keras.Model(inputs, outputs)
    loss = "binary_crossentropy" if recipe.seed % 2 else "mse"
    model.compile(make_optimizer(recipe, arrays), loss)
    fit = fit_arguments(dataclasses.replace(recipe, loss="mse"), arrays)
    return Training(model, arrays, fit)


@special
def two_outputs(recipe: Recipe, arrays: Arrays) -> Training:
    """A class, and the mean of the inputs as a second target."""
    base = make_model(recipe, arrays)
    hidden = base.layers[-1].input
    second = layers.Dense(1, name="mean")(hidden)
    model = keras.Model(base.input, {"head": base.output, "mean": second})

    def targets(x, y):
        return {"head": y, "mean": x.reshape(len(x), -1).mean(1, keepdims=True)}

    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(
        make_optimizer(recipe, arrays),
        {"head": loss, "mean": "mse"},
        metrics={"head": ["accuracy"]},
    )
    fit = fit_arguments(recipe, arrays)
    fit["y"] = targets(arrays.x, arrays.y)
    fit["validation_data"] = (arrays.x_val, targets(arrays.x_val, arrays.y_val))
    return Training(
        model, arrays, fit, lambda model, x: model.predict(x, verbose=0)["head"]
    )


def pretrained(recipe: Recipe, arrays: Arrays) -> keras.Model:
    """Returns a model that was trained as the recipe says."""
    model = make_model(recipe, arrays)
    compile_model(model, recipe, arrays)
    model.fit(**fit_arguments(recipe, arrays))
    return model


@special
def pretrained_and_frozen(recipe: Recipe, arrays: Arrays) -> Training:
    """A new head on frozen layers, which were trained on the same task."""
    base = pretrained(recipe, arrays)
    hidden = keras.Model(base.input, base.layers[-1].input, name="pretrained")
    hidden.trainable = False
    outputs = layers.Dense(arrays.num_outputs, name="new_head")(
        hidden(base.input, training=False)
    )
    model = keras.Model(base.input, outputs)
    return compiled(model, dataclasses.replace(recipe, rate=2 * recipe.rate), arrays)


@special
def fine_tuned(recipe: Recipe, arrays: Arrays) -> Training:
    """A trained model goes on with a small rate for a few epochs."""
    model = pretrained(recipe, arrays)
    small = dataclasses.replace(
        recipe, rate=recipe.rate / 30, epochs=3, schedule="constant"
    )
    return compiled(model, small, arrays)


@special
def custom_train_step(recipe: Recipe, arrays: Arrays) -> Training:
    """A subclass whose `train_step` scales the inputs."""
    base = make_model(recipe, arrays)

    class Scaling(keras.Model):
        def __init__(self):
            super().__init__()
            self.inner = base

        def call(self, inputs, training=None):
            return self.inner(inputs, training=training)

        def train_step(self, *arguments):
            # On JAX, the first argument is the state.
            *state, (x, y, *weights) = arguments
            return super().train_step(*state, (0.98 * x, y, *weights))

    return compiled(Scaling(), recipe, arrays)


@special
def subclassed(recipe: Recipe, arrays: Arrays) -> Training:
    """A model without a graph of layers."""

    class Network(keras.Model):
        def __init__(self):
            super().__init__()
            self.flatten = layers.Flatten()
            self.first = layers.Dense(recipe.width, activation="relu")
            self.second = layers.Dense(recipe.width, activation="relu")
            self.head = layers.Dense(arrays.num_outputs)

        def call(self, inputs):
            return self.head(self.second(self.first(self.flatten(inputs))))

    return compiled(Network(), recipe, arrays)


@special
def sequential(recipe: Recipe, arrays: Arrays) -> Training:
    """A Sequential model that is not built before training."""
    model = keras.Sequential(
        [
            layers.Flatten(),
            layers.Dense(recipe.width, activation="relu"),
            layers.Dense(recipe.width, activation="relu"),
            layers.Dense(arrays.num_outputs),
        ]
    )
    return compiled(model, recipe, arrays)


@special
def mixed_precision(recipe: Recipe, arrays: Arrays) -> Training:
    policy = keras.config.dtype_policy()
    keras.config.set_dtype_policy("mixed_float16")
    try:
        model = make_model(recipe, arrays)
        return compiled(model, recipe, arrays)
    finally:
        keras.config.set_dtype_policy(policy)


@special
def batches_from_a_dataset(recipe: Recipe, arrays: Arrays) -> Training:
    """The data are a `PyDataset` instead of arrays."""

    class Batches(keras.utils.PyDataset):
        def __init__(self, x, y):
            super().__init__()
            self.x, self.y, self.rng = x, y, np.random.default_rng(recipe.seed)
            self.on_epoch_end()

        def __len__(self):
            return math.ceil(len(self.x) / recipe.batch_size)

        def __getitem__(self, index):
            first = index * recipe.batch_size
            rows = self.order[first : first + recipe.batch_size]
            return self.x[rows], self.y[rows]

        def on_epoch_end(self):
            self.order = self.rng.permutation(len(self.x))

    model = make_model(recipe, arrays)
    compile_model(model, recipe, arrays)
    fit = fit_arguments(recipe, arrays)
    fit["x"] = Batches(fit["x"], fit.pop("y"))
    fit["validation_data"] = Batches(*fit["validation_data"])
    del fit["batch_size"]
    return Training(model, arrays, fit)


@special
def class_weights(recipe: Recipe, arrays: Arrays) -> Training:
    counts = np.bincount(arrays.y)
    weights = {c: len(arrays.y) / len(counts) / n for c, n in enumerate(counts)}
    return compiled(
        make_model(recipe, arrays), recipe, arrays, class_weight=weights
    )  # fmt: skip


@special
def sample_weights(recipe: Recipe, arrays: Arrays) -> Training:
    weights = np.random.default_rng(0).uniform(0.5, 1.5, len(arrays.x))
    return compiled(
        make_model(recipe, arrays), recipe, arrays, sample_weight=weights
    )  # fmt: skip


@special
def early_stopping(recipe: Recipe, arrays: Arrays) -> Training:
    stop = keras.callbacks.EarlyStopping(patience=3, restore_best_weights=True)
    return compiled(
        make_model(recipe, arrays), recipe, arrays, epochs=60, callbacks=[stop]
    )  # fmt: skip


@special
def validation_split(recipe: Recipe, arrays: Arrays) -> Training:
    training = compiled(make_model(recipe, arrays), recipe, arrays)
    del training.fit["validation_data"]
    training.fit["validation_split"] = 0.2
    return training


@special
def no_validation(recipe: Recipe, arrays: Arrays) -> Training:
    training = compiled(make_model(recipe, arrays), recipe, arrays)
    del training.fit["validation_data"]
    return training


@special
def normalization_layer(recipe: Recipe, arrays: Arrays) -> Training:
    """Inputs in their original units, and a layer that normalizes them."""
    normalize = layers.Normalization()
    if len(arrays.x.shape) == 4:
        normalize = layers.Rescaling(1 / 255)
    else:
        normalize.adapt(arrays.x)
    inner = make_model(recipe, arrays)
    inputs = keras.Input(arrays.x.shape[1:])
    return compiled(keras.Model(inputs, inner(normalize(inputs))), recipe, arrays)


@special
def targets_in_their_units(recipe: Recipe, arrays: Arrays) -> Training:
    """Targets in any unit, and a layer that converts the outputs to this unit."""
    convert = layers.Rescaling(float(arrays.y.std()), float(arrays.y.mean()))
    inner = make_model(recipe, arrays)
    model = keras.Model(inner.input, convert(inner.output))
    return compiled(model, recipe, arrays)


@special
def maxout(recipe: Recipe, arrays: Arrays) -> Training:
    units = (recipe.width,) * recipe.depth
    shape, outputs = arrays.x.shape[1:], arrays.num_outputs
    return compiled(
        mlp(shape, outputs, units=units, activation="maxout"), recipe, arrays
    )  # fmt: skip


@special
def stochastic_depth(recipe: Recipe, arrays: Arrays) -> Training:
    shape, outputs = arrays.x.shape[1:], arrays.num_outputs
    settings = {"units": recipe.width, "num_blocks": 6, "stochastic_depth": 0.3}
    return compiled(res_mlp(shape, outputs, **settings), recipe, arrays)


@special
def bidirectional(recipe: Recipe, arrays: Arrays) -> Training:
    settings = {"units": (recipe.width,), "bidirectional": True, "pooling": "mean"}
    shape, tokens = arrays.x.shape[1:], arrays.tokens or None
    model = lstm(shape, arrays.num_outputs, vocabulary_size=tokens, **settings)
    return compiled(model, recipe, arrays)


@special
def gru(recipe: Recipe, arrays: Arrays) -> Training:
    inputs = x = keras.Input(arrays.x.shape[1:])
    if arrays.tokens:
        x = layers.Embedding(arrays.tokens, 32, mask_zero=True)(x)
    elif len(x.shape) == 4:
        x = layers.Reshape((x.shape[1], -1))(x)
    outputs = layers.Dense(arrays.num_outputs)(layers.GRU(recipe.width)(x))
    return compiled(keras.Model(inputs, outputs), recipe, arrays)


@special
def predicted_noise(recipe: Recipe, arrays: Arrays) -> Training:
    """A regression that also predicts the variance."""
    shape, units = arrays.x.shape[1:], (recipe.width,) * recipe.depth
    model = mlp(shape, arrays.num_outputs, units=units, learn_noise=True)
    model.compile(make_optimizer(recipe, arrays), GaussianNLL())
    return Training(
        model,
        arrays,
        fit_arguments(recipe, arrays),
        lambda model, x: model.predict(x, verbose=0)[:, :1],
    )


@special
def multiclass_hinge(recipe: Recipe, arrays: Arrays) -> Training:
    model = make_model(recipe, arrays)
    model.compile(
        make_optimizer(recipe, arrays), MulticlassHinge(), metrics=["accuracy"]
    )
    return Training(model, arrays, fit_arguments(recipe, arrays))
