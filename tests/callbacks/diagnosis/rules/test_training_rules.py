"""Rules on facts of a training run, which are written down instead of trained."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from callbacks.diagnosis.data.dependence import Dependence
from callbacks.diagnosis.ranking import judge
from callbacks.diagnosis.run.pass_facts import PassFacts
from callbacks.monitors.layer_statistics import LayerStatistics

SPARSE = "sparse_categorical_crossentropy"
FALLING = (1.0, 0.7, 0.5, 0.35, 0.25, 0.2, 0.15, 0.11, 0.09, 0.08)
STUCK = (1.1, 1.099, 1.098, 1.0985, 1.0984, 1.0983)
LINE = np.linspace(1.09, 0.8, 8)
GENTLE = {"ratio": 1e-3}


@pytest.fixture
def judged(classifier, table, facts_of, training):
    """Returns `[(cause, severity), ...]`, without hints, of a written training run."""

    def run(losses, *, end=None, start=None, possible=None, model=None, **options):
        model = model or classifier(3, "softmax", SPARSE)
        facts = facts_of(model, *table)
        if possible is not None:
            test = Dependence(possible, possible, possible, 0.35, 0.02, 600, True)
            facts = replace(facts, data=replace(facts.data, dependence=test))
        size = options.pop("size", None) or facts.data.size
        facts = replace(facts, data=replace(facts.data, size=size))
        accuracy = options.pop("accuracy", None)
        run = training(losses, **options)
        if accuracy is not None:
            run.logs["accuracy"] = [accuracy] * len(losses)
        facts = replace(facts, training=run, end=end, start=start)
        return [
            (one.cause, one.severity) for one in judge(facts) if one.severity != "hint"
        ]

    return run


# Gradients.


def test_vanishing_gradients_are_found(judged):
    vanishing = (1e-7, 1e-4, 1e-2, 1.0)
    options = {"gradient": vanishing, "weight": (10.0,) * 4}
    assert judged(STUCK, **options) == [("vanishing_gradients", "error")]
    assert judged(FALLING, **options) == []  # it learns nevertheless
    options = {"gradient": (1e-2, 1e-1, 0.5, 1.0), "weight": (10.0,) * 4}
    assert judged(STUCK, **options) == [("not_learning", "error")]


def test_exploding_gradients_are_found_in_any_unit(judged):
    for unit in (1.0, 1e6):
        losses = unit * np.array([1.1, 1.4, 1.0, 1.2])
        options = {"gradient": (unit * 1e4, unit, unit)}
        found = judged(losses, **options)
        assert ("exploding_gradients", "warning") in found
        found = judged(losses, gradient=(unit * 10, unit, unit))
        assert "exploding_gradients" not in dict(found)


def test_a_kernel_without_a_gradient_is_found(judged):
    gradient = (1.0, np.nan, 1.0)
    assert judged(FALLING, gradient=gradient) == [("frozen_weights", "warning")]


def test_steps_skipped_by_loss_scaling_are_not_a_fault(judged):
    gradient = np.ones((20, 3))
    gradient[0] = np.inf
    skipped = np.arange(20) == 0
    assert judged(FALLING, gradient=gradient, skipped=skipped) == []
    assert judged((1.0, np.nan), gradient=gradient) == [("not_finite", "error")]


# Units.


def layer(zeros, saturated=np.nan):
    units = len(np.atleast_1d(zeros))
    return LayerStatistics(
        name="hidden",
        is_activation=True,
        edges=np.linspace(0, 1, 51),
        counts=np.zeros(50),
        mean=0.0,
        deviation=1.0,
        non_finite=0,
        unit_zeros=np.asarray(zeros, float),
        unit_saturated=np.full(units, saturated),
    )


class Examples:
    def __len__(self):
        return 256


def passed(*layers, loss=1.0, training_loss=1.0, penalty=0.0, **more):
    outputs = (np.random.default_rng(0).normal(size=(256, 3)),)
    return PassFacts(
        loss,
        training_loss,
        penalty,
        outputs,
        layers,
        sample=Examples(),
        **more,
    )


def test_dead_units_are_found(judged):
    half = [1.0] * 8 + [0.6] * 8
    most, every = [1.0] * 15 + [0.6], [1.0] * 16
    assert judged(LINE[:4], end=passed(layer(half))) == judged(LINE[:4], end=passed())
    found = judged(LINE[:4], end=passed(layer(most)))
    assert found[0] == ("dead_units", "warning")
    assert judged(STUCK, end=passed(layer(every))) == [("dead_units", "error")]
    assert judged(FALLING, end=passed(layer(most)), records=40) == []


def test_saturated_units_are_found(judged, classifier):
    def model():
        layers = [
            keras.Input((4,)),
            keras.layers.Dense(16, "tanh", name="hidden"),
            keras.layers.Dense(3, "softmax"),
        ]
        model = keras.Sequential(layers)
        model.compile("adam", SPARSE)
        return model

    zeros = np.zeros(16)
    end = passed(layer(zeros, 0.9))
    assert judged(STUCK, end=end, model=model()) == [("saturated_units", "warning")]
    assert judged(FALLING, end=end, model=model()) == []
    end = passed(layer(zeros, 0.4))
    assert judged(STUCK, end=end, model=model()) == [("not_learning", "error")]


def test_identical_units_are_found(judged):
    names = ("hidden/kernel",)
    expected = [("symmetric_units", "error")]
    assert judged(STUCK, identical_units=names) == expected
