"""Fixtures that judge a model and data, or given facts, without training."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from callbacks.diagnosis.data.data_facts import describe_data
from callbacks.diagnosis.data.sample_data import take_sample
from callbacks.diagnosis.facts import Facts
from callbacks.diagnosis.ranking import judge
from callbacks.diagnosis.reading.model_facts import read_model
from callbacks.diagnosis.run.training_facts import TrainingFacts
from callbacks.diagnosis.run.trivial import measure_trivial

SPARSE = "sparse_categorical_crossentropy"


@pytest.fixture
def facts_of():
    """Returns the facts of a compiled model and data, without a pass."""

    def gather(model, x=None, y=None, *, dependence=False, batch_size=32, **more):
        data, read = None, read_model(model, x, y)
        if x is not None:
            sample = take_sample(x, y, batch_size=batch_size)
            data = describe_data(sample, dependence=dependence)
            more["trivial"] = measure_trivial(model, read, sample, batch_size)
        return Facts(read, data, **more)

    return gather


@pytest.fixture
def found(facts_of):
    """Returns `[(cause, severity), ...]` of the ranked findings, without hints."""

    def judged(model, x=None, y=None, *, hints=False, **more):
        findings = judge(facts_of(model, x, y, **more))
        return [
            (one.cause, one.severity)
            for one in findings
            if hints or one.severity != "hint"
        ]

    return judged


@pytest.fixture
def classifier():
    """Builds a compiled classifier of tables: one hidden layer, any head and loss."""

    def build(units, activation, loss, *, features=4, optimizer="adam", **options):
        layers = [
            keras.Input((features,)),
            keras.layers.Dense(16, "relu", name="hidden"),
            keras.layers.Dense(units, activation, name="output"),
        ]
        model = keras.Sequential(layers)
        model.compile(optimizer, loss, **options)
        return model

    return build


@pytest.fixture
def table():
    """A table of 200 examples with 4 features, and classes that depend on them."""
    rng = np.random.default_rng(0)
    x = rng.normal(size=(200, 4)).astype("float32")
    return x, x[:, :3].argmax(axis=1)


@pytest.fixture
def training():
    """Builds the facts of a training run from norms per kernel and losses."""

    def build(
        losses,
        *,
        ratio=1e-3,
        gradient=(1.0, 1.0, 1.0),
        weight=(10.0, 10.0, 10.0),
        rate=1e-3,
        records=20,
        steps_per_epoch=100,
        val_loss=None,
        **more,
    ):
        number = np.shape(gradient)[-1]
        rates = np.broadcast_to(np.asarray(rate, "float64"), records).copy()
        gradients = np.broadcast_to(np.asarray(gradient, "float64"), (records, number))
        weights = np.broadcast_to(np.asarray(weight, "float64"), (records, number))
        ratios = np.broadcast_to(
            np.asarray(ratio, "float64").reshape(-1, 1), (records, number)
        )
        logs = {"loss": list(losses)}
        if val_loss is not None:
            logs["val_loss"] = list(val_loss)
        facts = TrainingFacts(
            variables=tuple(f"layer_{i}/kernel" for i in range(number)),
            shapes=((16, 16),) * number,
            step=np.arange(records) * 50,
            epoch=np.arange(records) * 50 // steps_per_epoch,
            learning_rate=rates,
            skipped=np.zeros(records, bool),
            gradient_norm=gradients.copy(),
            weight_norm=weights.copy(),
            update_norm=ratios * weights,
            logs=logs,
            steps_per_epoch=steps_per_epoch,
            epochs=len(losses),
        )
        return replace(facts, **more)

    return build


@pytest.fixture
def compiled():
    """Builds a compiled sequential model of tables."""

    def build(*layers, loss=SPARSE, optimizer="adam", shape=(4,), **options):
        model = keras.Sequential([keras.Input(shape), *layers])
        model.compile(optimizer, loss, **options)
        return model

    return build


@pytest.fixture
def dense():
    """Builds a dense layer, by default with 16 ReLU units."""

    def build(units=16, activation="relu", **options):
        return keras.layers.Dense(units, activation, **options)

    return build
