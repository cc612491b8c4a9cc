"""Optimizers, schedules, losses and metrics of the programs."""

import math

import keras
from keras import ops

from callbacks import ScheduleLearningRate
from callbacks.schedules import Cosine

from .arrays import Arrays
from .recipe import Recipe

OPTIMIZERS = {
    "adadelta": keras.optimizers.Adadelta,
    "adagrad": keras.optimizers.Adagrad,
    "adam": keras.optimizers.Adam,
    "adamw": keras.optimizers.AdamW,
    "lion": keras.optimizers.Lion,
    "nadam": keras.optimizers.Nadam,
    "rmsprop": keras.optimizers.RMSprop,
    "sgd": keras.optimizers.SGD,
}


def log_loss_without_epsilon(y_true, y_pred):
    """Cross-entropy as many people write it: the logarithm of 0 is infinite."""
    labels = ops.one_hot(ops.cast(ops.reshape(y_true, (-1,)), "int32"), y_pred.shape[1])
    return -ops.mean(ops.sum(labels * ops.log(y_pred), axis=-1))


def root_of_error(y_true, y_pred):
    """Root of the absolute error, whose gradient at 0 is infinite."""
    return ops.mean(ops.sqrt(ops.abs(ops.relu(y_true) - ops.relu(y_pred))))


def own_mean_squared_error(y_true, y_pred):
    return ops.mean(ops.square(y_true - y_pred), axis=-1)


def smoothed(y_true, y_pred):
    return keras.losses.categorical_crossentropy(
        y_true, y_pred, from_logits=True, label_smoothing=0.1
    )


def focal(y_true, y_pred):
    return keras.losses.binary_focal_crossentropy(y_true, y_pred, from_logits=True)


# Losses that end in ":logits" expect logits. Losses that start with "categorical" or
# "one_hot" receive one-hot labels.
LOSSES = {
    "sparse": "sparse_categorical_crossentropy",
    "sparse:logits": keras.losses.SparseCategoricalCrossentropy(from_logits=True),
    "categorical": "categorical_crossentropy",
    "categorical:logits": keras.losses.CategoricalCrossentropy(from_logits=True),
    "categorical_smoothed:logits": keras.losses.CategoricalCrossentropy(
        from_logits=True, label_smoothing=0.1
    ),
    "categorical_focal": keras.losses.CategoricalFocalCrossentropy(),
    "binary": "binary_crossentropy",
    "binary:logits": keras.losses.BinaryCrossentropy(from_logits=True),
    "binary_focal:logits": focal,
    "one_hot_binary": "binary_crossentropy",
    "one_hot_mse": "mse",
    "mse": "mse",
    "mae": "mae",
    "huber": "huber",
    "log_cosh": "log_cosh",
    "hinge": "hinge",
    "poisson": "poisson",
    "mape": "mape",
    "cosine": "cosine_similarity",
    "own_mse": own_mean_squared_error,
    "categorical_own:logits": smoothed,
    "log_loss": log_loss_without_epsilon,
    "root": root_of_error,
}
METRICS = {
    "accuracy": lambda: "accuracy",
    "binary_accuracy:logits": lambda: keras.metrics.BinaryAccuracy(
        threshold=0.0, name="accuracy"
    ),
    "binary_accuracy": lambda: keras.metrics.BinaryAccuracy(name="accuracy"),
    "mae": lambda: "mae",
    "rmse": lambda: keras.metrics.RootMeanSquaredError(name="rmse"),
    "none": lambda: None,
}


def right_loss(recipe: Recipe) -> str:
    """Returns the loss that suits the task and the head of a healthy program."""
    if recipe.task == "regression":
        return "mse"
    logits = ":logits" if recipe.head == "linear" else ""
    return ("sparse" if recipe.task == "classes" else "binary") + logits


def right_metric(recipe: Recipe) -> str:
    if recipe.task == "regression":
        return "mae"
    if recipe.task == "classes":
        return "accuracy"
    return "binary_accuracy" + (":logits" if recipe.head == "linear" else "")


def compile_model(model: keras.Model, recipe: Recipe, arrays: Arrays) -> None:
    loss = LOSSES[recipe.loss or right_loss(recipe)]
    metric = METRICS[recipe.metric or right_metric(recipe)]()
    model.compile(
        make_optimizer(recipe, arrays),
        # A new object, because losses of one process must not share their state.
        loss.from_config(loss.get_config()) if hasattr(loss, "get_config") else loss,
        metrics=None if metric is None else [metric],
    )


def make_optimizer(recipe: Recipe, arrays: Arrays) -> keras.optimizers.Optimizer:
    steps = recipe.epochs * math.ceil(len(arrays.x) / recipe.batch_size)
    rate = SCHEDULES[recipe.schedule](recipe.rate, steps)
    return OPTIMIZERS[recipe.optimizer](rate, **dict(recipe.settings))


def warmup(rate, steps):
    return keras.optimizers.schedules.CosineDecay(
        0.0, steps - steps // 10, warmup_target=rate, warmup_steps=steps // 10
    )


def halves(rate, steps):
    schedule = keras.optimizers.schedules.PiecewiseConstantDecay
    return schedule([steps // 2, 3 * steps // 4], [rate, rate / 10, rate / 100])


SCHEDULES = {
    "constant": lambda rate, steps: rate,
    "callback": lambda rate, steps: rate,  # see `callbacks_of`
    "plateau": lambda rate, steps: rate,
    "cosine": keras.optimizers.schedules.CosineDecay,
    "warmup": warmup,
    "steps": halves,
    "exponential": lambda rate, steps: keras.optimizers.schedules.ExponentialDecay(
        rate, max(1, steps // 5), 0.4
    ),
    "collapsing": lambda rate, steps: keras.optimizers.schedules.ExponentialDecay(
        rate, 1, 0.8
    ),
}


def callbacks_of(recipe: Recipe) -> list[keras.callbacks.Callback]:
    """Returns the callbacks that a program passes to `fit`."""
    if recipe.schedule == "callback":
        return [ScheduleLearningRate(Cosine(recipe.epochs, warmup=1))]
    if recipe.schedule == "plateau":
        return [keras.callbacks.ReduceLROnPlateau(patience=2, factor=0.3)]
    return []
