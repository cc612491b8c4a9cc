"""Models with nothing wrong, of which no warning may be given."""

import keras
import numpy as np
import pytest
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_wine,
    make_classification,
)

from zoo import mlp, res_mlp
from zoo.adversarial import PGD, AdversarialTrainer, evaluate_robustness

LOADERS = {"digits": load_digits, "wine": load_wine, "cancer": load_breast_cancer}
MODELS = {
    "linear": lambda shape, classes: mlp(shape, classes, units=()),
    "small": lambda shape, classes: mlp(shape, classes, units=(16,)),
    "wide": lambda shape, classes: mlp(shape, classes, units=(256,)),
    "deep": lambda shape, classes: mlp(
        shape, classes, units=(64, 64, 64), normalization="batch", dropout=0.2
    ),
    "residual": lambda shape, classes: res_mlp(shape, classes, units=32, num_blocks=2),
    "tanh": lambda shape, classes: mlp(shape, classes, units=(32,), activation="tanh"),
}
# Of every dataset, model and training at least one; ten are trained adversarially.
CASES = [
    *(("digits", model, epsilon, 0) for model in MODELS for epsilon in (0.0, 0.1)),
    ("wine", "small", 0.0, 0),
    ("wine", "deep", 0.05, 1),
    ("wine", "residual", 0.05, 2),
    ("cancer", "linear", 0.0, 3),
    ("cancer", "small", 0.05, 4),
    ("cancer", "tanh", 0.0, 5),
    ("digits", "small", 0.2, 6),
    ("digits", "wide", 0.0, 7),
]


@pytest.mark.slow
@pytest.mark.series(every=3)
@pytest.mark.parametrize(("data", "kind", "epsilon", "seed"), CASES)
def test_no_warning(data, kind, epsilon, seed):
    x, y = LOADERS[data](return_X_y=True)
    x = ((x - x.min(axis=0)) / np.maximum(np.ptp(x, axis=0), 1e-6)).astype("float32")
    order = np.random.default_rng(seed).permutation(len(x))
    x, y = x[order], y[order]
    keras.utils.set_random_seed(seed)
    model = MODELS[kind](x.shape[1:], int(y.max()) + 1)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    trained = AdversarialTrainer(model, PGD(epsilon, steps=5)) if epsilon else model
    trained.compile(keras.optimizers.Adam(3e-3), loss)
    size = min(150, len(x) // 3)
    epochs = 15 if len(x) > 1000 else 50
    trained.fit(x[size:], y[size:], epochs=epochs, batch_size=32, verbose=0)
    model.compile(loss=loss)
    report = evaluate_robustness(
        model, (x[:size], y[:size]), (0.02, 0.1), steps=50, restarts=2, verbose=0
    )
    assert report.clean_accuracy > 0.7
    assert report.warnings == []


def test_there_are_twenty():
    assert len(set(CASES)) == 20


layers = keras.layers
CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
BUDGET = {"steps": 10, "restarts": 1, "verbose": 0}


def scaled(x):
    return (x - x.min(axis=0)) / np.maximum(np.ptp(x, axis=0), 1e-6)


def several_scales():
    """A table with columns from tenths to tens, none of them constant."""
    x, y = make_classification(
        600, 12, n_informative=8, n_classes=3, class_sep=2.0, random_state=0
    )
    return np.clip(x * np.logspace(-1, 1, 12), -100, 100), y


def digits():
    x, y = load_digits(return_X_y=True)
    return x / 16, y


def even_digits():
    x, y = digits()
    return x, y % 2


def images():
    x, y = digits()
    return x.reshape(-1, 8, 8, 1), y


def sequences():
    x, y = digits()
    return x.reshape(-1, 8, 8), y


def wine():
    x, y = load_wine(return_X_y=True)
    return scaled(x), y


def cancer():
    x, y = load_breast_cancer(return_X_y=True)
    return scaled(x), y


def dense(activation="relu", outputs=10, head=None, size=64):
    return keras.Sequential(
        [
            keras.Input((size,)),
            layers.Dense(48, activation=activation),
            layers.Dense(outputs, activation=head),
        ]
    )


def chain(shape, *inner):
    return keras.Sequential([keras.Input(shape), *inner, layers.Dense(10)])


def in_policy(policy):
    before = keras.config.dtype_policy()
    keras.config.set_dtype_policy(policy)
    try:
        model = dense()
    finally:
        keras.config.set_dtype_policy(before)
    return model


class Subclassed(keras.Model):
    def __init__(self):
        super().__init__()
        self.hidden = layers.Dense(48, activation="relu")
        self.last = layers.Dense(10)

    def call(self, x):
        return self.last(self.hidden(x))


def subclassed():
    model = Subclassed()
    model(np.zeros((1, 64), "float32"))
    return model


def convolutional():
    return chain(
        (8, 8, 1),
        layers.Conv2D(12, 3, padding="same", activation="relu"),
        layers.MaxPooling2D(),
        layers.Conv2D(16, 3, activation="relu"),
        layers.Flatten(),
    )


BINARY = keras.losses.BinaryCrossentropy
ACTIVATIONS = (
    *("relu", "leaky_relu", "elu", "selu", "gelu", "silu", "mish", "softplus"),
    *("softsign", "tanh", "sigmoid", "hard_sigmoid", "relu6", "hard_silu"),
)
# Every kind: data, a function that builds the model, and what differs from usual.
KINDS = {
    **{name: (digits, lambda a=name: dense(a), {}) for name in ACTIVATIONS},
    "linear": (digits, lambda: mlp((64,), 10, units=()), {}),
    "deep": (digits, lambda: mlp((64,), 10, units=(48, 48, 48)), {}),
    "wide": (digits, lambda: mlp((64,), 10, units=(256,)), {}),
    "residual": (digits, lambda: res_mlp((64,), 10, units=32, num_blocks=2), {}),
    "batch normalization and dropout": (
        digits,
        lambda: mlp((64,), 10, units=(48, 48), normalization="batch", dropout=0.2),
        {},
    ),
    "layer normalization": (
        digits,
        lambda: chain((64,), layers.Dense(48), layers.LayerNormalization()),
        {},
    ),
    "noise in training": (
        digits,
        lambda: chain((64,), layers.GaussianNoise(0.1), layers.Dense(48, "relu")),
        {},
    ),
    "lstm": (sequences, lambda: chain((8, 8), layers.LSTM(24)), {}),
    "gru": (sequences, lambda: chain((8, 8), layers.GRU(24)), {}),
    "max pooling": (images, convolutional, {}),
    "average pooling": (
        images,
        lambda: chain(
            (8, 8, 1),
            layers.Conv2D(32, 3, activation="relu"),
            layers.Conv2D(32, 3, activation="relu"),
            layers.GlobalAveragePooling2D(),
        ),
        {"epochs": 20},
    ),
    "subclassed": (digits, subclassed, {}),
    "trained adversarially": (digits, dense, {"attack": PGD(0.1, steps=5)}),
    "trained against large perturbations": (
        digits,
        dense,
        {"attack": PGD(0.2, steps=5)},
    ),
    "undertrained": (digits, dense, {"epochs": 2, "accuracy": 0.3}),
    "overtrained": (digits, dense, {"epochs": 80}),
    "logits times 100": (digits, dense, {"then": layers.Rescaling(100.0)}),
    "softmax": (digits, lambda: dense(head="softmax"), {"loss": "ce"}),
    "softmax, overtrained": (
        digits,
        lambda: dense(head="softmax"),
        {"loss": "ce", "epochs": 60},
    ),
    "sigmoid at the end": (
        even_digits,
        lambda: dense(outputs=1, head="sigmoid"),
        {"loss": "binary_crossentropy"},
    ),
    "one logit": (
        even_digits,
        lambda: dense(outputs=1),
        {"loss": BINARY(from_logits=True)},
    ),
    "two logits": (even_digits, lambda: dense(outputs=2), {}),
    "bfloat16": (digits, lambda: in_policy("mixed_bfloat16"), {}),
    "float16": (digits, lambda: in_policy("mixed_float16"), {}),
    "int8": (digits, dense, {"quantized": "int8"}),
    "int8, deep": (
        digits,
        lambda: mlp((64,), 10, units=(48, 48, 48)),
        {"quantized": "int8"},
    ),
    "small data": (wine, lambda: dense(outputs=3, size=13), {"epochs": 40}),
    "small data, trained adversarially": (
        wine,
        lambda: mlp((13,), 3, units=(48, 48), normalization="batch"),
        {"epochs": 40, "attack": PGD(0.05, steps=5)},
    ),
    "table": (cancer, lambda: dense(outputs=2, size=30), {"epochs": 30}),
    "table of several scales": (
        several_scales,
        lambda: dense(outputs=3, size=12),
        {"epochs": 40, "bounds": (-100.0, 100.0), "epsilons": (0.1, 1.0)},
    ),
    "l2": (digits, dense, {"norm": "l2", "epsilons": (0.2, 1.0)}),
}
QUICK = ("relu", "max pooling", "softmax")


def train(model, x, y, *, epochs=12, loss=CROSS_ENTROPY, attack=None):
    loss = "sparse_categorical_crossentropy" if loss == "ce" else loss
    trained = AdversarialTrainer(model, attack) if attack else model
    trained.compile(keras.optimizers.Adam(4e-3), loss)
    trained.fit(x, y, epochs=epochs, batch_size=64, verbose=0)
    model.compile(loss=loss)


@pytest.mark.heavy
@pytest.mark.series(every=3)
@pytest.mark.parametrize(
    "name",
    [
        name if name in QUICK else pytest.param(name, marks=pytest.mark.slow)
        for name in KINDS
    ],
)
def test_no_warning_of_any_kind(name):
    load, build, options = KINDS[name]
    options = dict(options)
    x, y = load()
    order = np.random.default_rng(0).permutation(len(x))
    x, y = x[order].astype("float32"), y[order].astype("int32")
    size = min(60, len(x) // 3)
    evaluation = {key: options.pop(key) for key in ("norm", "bounds") if key in options}
    epsilons = options.pop("epsilons", (0.02, 0.1))
    accuracy, then = options.pop("accuracy", 0.7), options.pop("then", None)
    quantized = options.pop("quantized", None)
    keras.utils.set_random_seed(0)
    model = build()
    train(model, x[size:], y[size:], **options)
    if then is not None:
        model = keras.Sequential([keras.Input(x.shape[1:]), model, then])
    if quantized:
        for layer in model.layers:
            if isinstance(layer, layers.Dense):
                layer.quantize(quantized)
    data = x[:size], y[:size]
    report = evaluate_robustness(model, data, epsilons, **evaluation, **BUDGET)
    assert report.clean_accuracy > accuracy
    assert report.warnings == []
    assert "smoothed" not in set(report.to_frame()["stage"])


def test_there_are_more_than_twenty_kinds():
    assert len(KINDS) > 20
