"""Losses of constant predictors, compared with their expected values."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from callbacks.diagnosis.data.sample_data import Sample, take_sample
from callbacks.diagnosis.reading.loss_facts import LossFacts
from callbacks.diagnosis.reading.model_facts import read_model
from callbacks.diagnosis.run.trivial import (
    loss_of_constants,
    measure_trivial,
    uniform_loss,
)

SPARSE = "sparse_categorical_crossentropy"
RNG = np.random.default_rng(0)
X = RNG.normal(size=(800, 4)).astype("float32")
IDS = RNG.choice(3, 800, p=[0.5, 0.3, 0.2])
NORMAL = RNG.normal(size=800)
SHARES = np.bincount(IDS) / 800
ENTROPY = -(SHARES * np.log(SHARES)).sum()


def trivial_of(model, x, y, weights=None, batch_size=32, size=None):
    sample = replace(take_sample(x, y, weights), size=size)
    read = read_model(model, sample.x, sample.y)
    return measure_trivial(model, read, sample, batch_size)


def one_layer(units, loss, activation=None, **options):
    layers = [keras.Input((4,)), keras.layers.Dense(units, activation)]
    model = keras.Sequential(layers)
    model.compile("sgd", loss, **options)
    return model


@pytest.mark.parametrize(
    ("loss", "units", "y", "expected"),
    [
        (SPARSE, 3, IDS, ENTROPY),
        ("categorical_crossentropy", 3, np.eye(3)[IDS], ENTROPY),
        (
            keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            *(3, IDS, ENTROPY),
        ),
        ("binary_crossentropy", 1, NORMAL > 0, np.log(2)),
        ("mse", 1, NORMAL, NORMAL.var()),
        ("mae", 1, NORMAL, np.abs(NORMAL - np.median(NORMAL)).mean()),
        ("hinge", 1, np.where(IDS == 2, -1, 1), 2 * SHARES[2]),
        ("squared_hinge", 1, np.where(IDS == 2, -1, 1), np.where(IDS == 2, 2, 0).var()),
        ("msle", 1, np.expm1(np.abs(NORMAL)), np.abs(NORMAL).var()),
    ],
)
def test_the_loss_of_a_constant_is_that_of_the_targets(loss, units, y, expected):
    found = trivial_of(one_layer(units, loss), X, y)
    assert found.value == pytest.approx(expected, rel=0.01)
    assert 0 < found.error < 0.1 * expected
    assert found.floor == pytest.approx(0.0, abs=1e-4)
    assert trivial_of(one_layer(units, loss), X, y, size=800).error == 0


@pytest.mark.parametrize("examples", [64, 256])
def test_few_examples_of_many_classes_do_not_make_the_loss_smaller(examples):
    y = RNG.integers(0, 100, examples)
    found = trivial_of(one_layer(100, SPARSE), X[:examples], y)
    _, counts = np.unique(y, return_counts=True)
    entropy = -(counts / examples * np.log(counts / examples)).sum()
    assert entropy < np.log(100) - 0.2
    assert found.value < np.log(100) < found.value + 3 * found.error


def test_heavy_tails_have_a_large_error():
    found = trivial_of(one_layer(1, "mse"), X, np.exp(1.5 * NORMAL))
    assert 3 * found.error > 0.1 * found.value


def test_sums_are_those_of_a_batch_of_fit():
    loss = keras.losses.MeanSquaredError(reduction="sum")
    found = trivial_of(one_layer(1, loss), X, NORMAL, batch_size=64)
    mean = trivial_of(one_layer(1, "mse"), X, NORMAL)
    assert found.value == pytest.approx(64 * mean.value, rel=1e-4)
    assert trivial_of(one_layer(1, loss), X, NORMAL, batch_size=None) is None


def test_weights_of_losses_and_examples_count():
    inputs = keras.Input((4,))
    layers = [keras.layers.Dense(1, name=name) for name in "ab"]
    model = keras.Model(inputs, [layer(inputs) for layer in layers])
    model.compile("sgd", ["mse", "mse"], loss_weights=[1.0, 100.0])
    found = trivial_of(model, X, [10 * NORMAL, NORMAL])
    assert found.value == pytest.approx(200 * NORMAL.var(), rel=0.02)

    weights = np.where(IDS == 0, 1.0, 5.0)
    found = trivial_of(one_layer(3, SPARSE), X, IDS, weights)
    shares = np.bincount(IDS, weights) / weights.sum()
    expected = -(weights * np.log(shares[IDS])).mean()
    assert found.value == pytest.approx(expected, rel=0.01)


def test_masked_steps_do_not_count():
    tokens = RNG.integers(1, 50, (64, 20))
    tokens[:, 4:] = 0
    tags = np.where(tokens > 0, RNG.integers(0, 4, tokens.shape), 0)
    layers = [
        keras.Input((20,)),
        keras.layers.Embedding(50, 8, mask_zero=True),
        keras.layers.Dense(4, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("sgd", SPARSE)
    found = trivial_of(model, tokens, tags)
    assert found.value == pytest.approx(np.log(4), rel=0.02)
    layers[1] = keras.layers.Embedding(50, 8)
    model = keras.Sequential(layers)
    model.compile("sgd", SPARSE)
    assert trivial_of(model, tokens, tags).value < 0.8
    found = trivial_of(model, tokens, tags, (tokens > 0) * 5.0)
    assert found.value == pytest.approx(np.log(4), rel=0.02)


def test_soft_targets_have_a_floor():
    pixels = np.clip(0.5 + 0.2 * RNG.normal(size=(800, 4)), 0, 1)
    found = trivial_of(one_layer(4, "binary_crossentropy"), X, pixels)
    clipped = np.clip(pixels, 1e-7, 1 - 1e-7)
    entropy = -(pixels * np.log(clipped) + (1 - pixels) * np.log(1 - clipped)).mean()
    assert found.floor == pytest.approx(entropy, rel=0.01)
    assert found.floor < found.value == pytest.approx(np.log(2), rel=0.01)


def test_what_is_unknown_has_no_constant():
    read = one_layer(3, lambda y, p: keras.ops.mean(p, axis=-1))
    assert trivial_of(read, X, IDS) is None
    assert trivial_of(one_layer(3, SPARSE), X, np.array(["a", "b"] * 400)) is None
    assert trivial_of(one_layer(3, "mse"), X, IDS) is None
    assert trivial_of(one_layer(3, SPARSE), X[:5], IDS[:5]) is None

    class Own(keras.Model):
        def train_step(self, data):
            return {"loss": 0.0}

    inputs = keras.Input((4,))
    model = Own(inputs, keras.layers.Dense(1)(inputs))
    model.compile("sgd", "mse")
    assert trivial_of(model, X, NORMAL) is None


def test_constants_are_compared_on_other_examples():
    model = one_layer(1, "mse")
    read = read_model(model, X, NORMAL)
    best = (np.array([2.0]),)
    found = loss_of_constants(model, read, Sample(X, NORMAL), best)
    assert found == pytest.approx(((NORMAL - 2) ** 2).mean(), rel=1e-5)


def test_equal_probabilities():
    sparse = LossFacts("sparse_categorical_crossentropy")
    assert uniform_loss(sparse, 10) == pytest.approx(np.log(10))
    binary = LossFacts("binary_crossentropy")
    assert uniform_loss(binary, 1) == pytest.approx(np.log(2))
    assert uniform_loss(LossFacts("mean_squared_error"), 1) is None
