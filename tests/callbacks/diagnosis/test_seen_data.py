"""Healthy training runs, whose facts must be right."""

import keras
import numpy as np
import pytest

from callbacks import Diagnosis
from callbacks.diagnosis.outcome import outcome_of

pytestmark = pytest.mark.heavy
RNG = np.random.default_rng(0)


def trained(model, x, y, **options):
    keras.utils.set_random_seed(0)
    diagnosis = Diagnosis(verbose=0)
    history = model.fit(x, y, verbose=0, callbacks=[diagnosis], **options).history
    report = diagnosis.report
    assert not any("Error" in one for one in report.not_seen)
    return diagnosis, report, history


def table_model(units, activation, loss, features=8, optimizer="adam", **options):
    layers = [
        keras.Input((features,)),
        keras.layers.Dense(16, "relu"),
        keras.layers.Dense(units, activation),
    ]
    model = keras.Sequential(layers)
    model.compile(optimizer, loss, **options)
    return model


def causes(report):
    return [one.cause for one in report.findings if one.severity != "hint"]


def test_many_epochs_of_a_small_table_do_not_repeat_its_rows():
    x = np.linspace(-3, 3, 100)[:, None]
    model = table_model(1, None, "mse", features=1)
    diagnosis, report, _ = trained(model, x, np.sin(x), epochs=200)
    facts = diagnosis.report.facts
    assert facts.data.examples <= 100
    assert facts.data.inputs[0].duplicates == 0
    assert "data_bug" not in causes(report)


@pytest.mark.parametrize("kind", ["weights", "sum", "two outputs", "masks"])
def test_the_trivial_loss_has_the_units_of_the_log(kind):
    x = RNG.normal(size=(600, 8)).astype("float32")
    noise = RNG.normal(size=600).astype("float32")
    options = {"epochs": 2, "batch_size": 64}
    y = noise
    if kind == "weights":
        model = table_model(1, "sigmoid", "binary_crossentropy")
        y = (noise > 1.3) * 1
        options["class_weight"] = {0: 0.5, 1: 8.0}
    elif kind == "sum":
        loss = keras.losses.MeanSquaredError(reduction="sum")
        head = keras.layers.Dense(1, kernel_initializer="zeros")
        model = keras.Sequential([keras.Input((8,)), head])
        model.compile(keras.optimizers.SGD(1e-5), loss)
    elif kind == "two outputs":
        inputs = keras.Input((8,))
        heads = [keras.layers.Dense(1, kernel_initializer="zeros") for _ in range(2)]
        model = keras.Model(inputs, [head(inputs) for head in heads])
        model.compile("sgd", ["mse", "mse"], loss_weights=[0.1, 1.0])
        y = [noise, noise]
    else:
        x = RNG.integers(1, 50, (600, 10))
        x[:, 3:] = 0
        y = np.where(x > 0, RNG.integers(0, 5, x.shape), 0)
        layers = [
            keras.Input((10,)),
            keras.layers.Embedding(50, 4, mask_zero=True),
            keras.layers.Dense(5, "softmax"),
        ]
        model = keras.Sequential(layers)
        model.compile("sgd", "sparse_categorical_crossentropy")
    diagnosis, _, history = trained(model, x, y, **options)
    outcome = outcome_of(diagnosis.report.facts)
    # The targets are noise, so a model that hardly learns has about this loss.
    assert outcome.trivial == pytest.approx(history["loss"][-1], rel=0.3)


def test_noisy_targets_are_healthy():
    x = RNG.normal(size=(3000, 8)).astype("float32")
    y = (RNG.random(3000) < 1 / (1 + np.exp(2 - 0.7 * x[:, 0]))) * 1
    model = table_model(1, "sigmoid", "binary_crossentropy", optimizer="adam")
    _, report, _ = trained(model, x, y, epochs=10, validation_split=0.2)
    assert causes(report) == []


def test_dropout_is_healthy():
    x = RNG.normal(size=(1000, 8)).astype("float32")
    y = x[:, :3].argmax(axis=1)
    layers = [
        keras.Input((8,)),
        keras.layers.Dense(64, "relu"),
        keras.layers.Dropout(0.7),
        keras.layers.Dense(3, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", "sparse_categorical_crossentropy")
    _, report, _ = trained(model, x, y, epochs=20, validation_split=0.2)
    assert causes(report) == []
