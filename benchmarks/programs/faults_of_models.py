"""Faults of the hidden layers: activations, initialization, capacity and layers."""

from .arrays import IMAGES
from .faults import DENSE, fault

NO_LSTM = (*DENSE, "cnn")


def with_activation(name):
    return lambda recipe: {"activation": name, "normalization": ""}


def plain_batch_norm(recipe):
    return {"normalization": "batch", "dropout": 0.0}


@fault("linear_hidden_stack", families=NO_LSTM, edits_model=True)
def no_activations(recipe, rng):
    return {"activation": "linear"}


@fault("underfitting", edits_model=True)
def bottleneck_of_one_unit(recipe, rng):
    return {"edits": ("bottleneck",)}


@fault("underfitting")
def narrow_layers(recipe, rng):
    return {"width": rng.choice((1, 2))}


@fault("underfitting", "misused_layer", families=("cnn",), edits_model=True)
def pooling_over_the_whole_image(recipe, rng):
    return {"edits": ("wide_pooling",)}


@fault(
    "vanishing_gradients",
    families=("mlp",),
    edits_model=True,
    twin=with_activation("relu"),
)
def deep_sigmoid_layers(recipe, rng):
    return {"activation": "sigmoid", "depth": rng.choice((8, 10, 12)), "dropout": 0.0}


@fault(
    "vanishing_gradients",
    "bad_initialization",
    families=("mlp",),
    edits_model=True,
    twin=with_activation("tanh"),
)
def deep_layers_with_small_weights(recipe, rng):
    return {"initializer": "normal:0.01", "depth": rng.choice((6, 8))}


@fault(
    "exploding_gradients",
    "bad_initialization",
    families=("mlp",),
    edits_model=True,
    twin=with_activation("relu"),
)
def deep_layers_with_large_weights(recipe, rng):
    depth = rng.choice((8, 10, 12))
    return {"initializer": "normal:0.5", "depth": depth, "optimizer": "sgd"}


@fault("exploding_gradients", families=("lstm",), edits_model=True)
def relu_in_lstm(recipe, rng):
    """ReLU instead of tanh lets the state grow with the length of the sequence."""
    return {"activation": "relu", "initializer": "normal:0.3", "rate": 10 * recipe.rate}


@fault(
    "saturated_units",
    "bad_initialization",
    families=NO_LSTM,
    edits_model=True,
    twin=with_activation("tanh"),
)
def saturated_tanh(recipe, rng):
    return {"initializer": rng.choice(("normal:2", "normal:5"))}


@fault(
    "saturated_units",
    "bad_initialization",
    families=("lstm",),
    edits_model=True,
)
def saturated_lstm(recipe, rng):
    return {"initializer": rng.choice(("normal:3", "normal:6"))}


@fault(
    "bad_initialization",
    "exploding_gradients",
    families=NO_LSTM,
    edits_model=True,
    twin=with_activation("relu"),
)
def large_weights(recipe, rng):
    return {"initializer": rng.choice(("normal:2", "normal:5"))}


@fault(
    "symmetric_units",
    "bad_initialization",
    families=NO_LSTM,
    edits_model=True,
    twin=lambda recipe: {"dropout": 0.0},
)
def equal_weights(recipe, rng):
    kinds = ("constant:0.01", "constant:0.05", "ones", "zeros")
    return {"initializer": rng.choice(kinds)}


@fault(
    "dead_units",
    "bad_initialization",
    families=NO_LSTM,
    edits_model=True,
    twin=with_activation("relu"),
)
def very_negative_bias(recipe, rng):
    return {"bias": rng.choice((-10.0, -30.0))}


@fault("frozen_weights", edits_model=True)
def everything_frozen(recipe, rng):
    return {"edits": ("frozen",)}


@fault("frozen_weights", edits_model=True)
def hidden_layers_frozen(recipe, rng):
    return {"edits": ("frozen_hidden",)}


@fault("frozen_weights", edits_model=True)
def gradient_stopped(recipe, rng):
    return {"edits": ("stop_gradient",)}


@fault("misused_layer", families=("mlp",), datasets=IMAGES, edits_model=True)
def missing_flatten(recipe, rng):
    return {"edits": ("no_flatten",)}


@fault("misused_layer", families=NO_LSTM, edits_model=True)
def softmax_in_hidden_layers(recipe, rng):
    return {"activation": "softmax", "normalization": "", "depth": 3}


@fault("misused_layer", edits_model=True)
def normalization_of_a_single_unit(recipe, rng):
    return {"edits": ("normalized_unit",)}


@fault(
    "misused_layer",
    "over_regularized",
    tasks=("regression", "classes", "binary"),
    edits_model=True,
    twin=lambda recipe: {"head": "linear"},
)
def dropout_after_the_head(recipe, rng):
    return {"edits": ("dropout_after_head",)}


@fault(
    "train_and_inference_differ",
    "misused_layer",
    families=NO_LSTM,
    edits_model=True,
    twin=plain_batch_norm,
)
def batch_norm_with_slow_statistics(recipe, rng):
    return {"edits": ("slow_statistics",)}


@fault(
    "train_and_inference_differ",
    "over_regularized",
    edits_model=True,
    twin=lambda recipe: {"dropout": 0.5},
)
def dropout_left_on(recipe, rng):
    return {"edits": ("always_dropout",), "dropout": rng.choice((0.7, 0.85))}


@fault(
    "not_finite",
    "exploding_gradients",
    families=("mlp",),
    tasks=("classes", "binary", "regression"),
    edits_model=True,
    twin=with_activation("relu"),
)
def exponential_overflows(recipe, rng):
    return {"edits": ("exponential",), "initializer": "normal:3"}
