import ast

import keras
import numpy as np
import pytest

from callbacks import Diagnosis, diagnose
from callbacks.diagnosis.rules.finite import (
    all_steps_skipped,
    not_finite_at_start,
    not_finite_in_training,
)

pytestmark = pytest.mark.one_backend

SPARSE = "sparse_categorical_crossentropy"
STUCK = (1.1, 1.099, 1.098, 1.0985, 1.0984, 1.0983)
ERROR = [("not_finite", "error")]


class Log(keras.layers.Layer):
    def call(self, x):
        return keras.ops.log(x)


class Mask(keras.layers.Layer):
    """Hides later positions with -infinity."""

    def call(self, scores):
        seen = keras.ops.tril(keras.ops.ones_like(scores)) > 0
        return keras.ops.where(seen, scores, -float("inf"))


class Root(keras.layers.Layer):
    """A square root, whose derivative is infinite at zero."""

    def call(self, x):
        return keras.ops.sqrt(keras.ops.relu(x))


def not_finite(report):
    return [one for one in report.findings if one.cause == "not_finite"]


def test_the_layer_that_makes_nan_is_named(table):
    hidden = keras.layers.Dense(8, "relu", name="hidden")
    end = keras.layers.Dense(3, "softmax", name="output")
    model = keras.Sequential([keras.Input((4,)), Log(name="log"), hidden, end])
    model.compile("adam", SPARSE)
    (found,) = not_finite(diagnose(model, *table))
    assert (found.severity, found.where) == ("error", "layer 'log'")
    assert "'log'" in found.advice[0]
    ast.parse(found.advice[0])


def test_infinity_that_a_softmax_removes_is_no_fault():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(128, 6, 4)).astype("float32")
    y = x[:, :3, 0].argmax(axis=1)
    inputs = keras.Input((6, 4))
    query, key = (keras.layers.Dense(8)(inputs) for _ in range(2))
    scores = Mask(name="mask")(keras.layers.Dot(2)([query, key]))
    attended = keras.layers.Dot((2, 1))([keras.layers.Softmax()(scores), inputs])
    end = keras.layers.Dense(3, "softmax")(keras.layers.Flatten()(attended))
    model = keras.Model(inputs, end)
    model.compile("adam", SPARSE)
    assert not not_finite(diagnose(model, x, y))


def test_a_loss_that_is_nan_is_found(run_facts, severities, passed):
    facts = run_facts((), start=passed(loss=np.nan))
    (found,) = not_finite_at_start(facts)
    assert (found.severity, found.where) == ("error", "loss")
    assert not not_finite_at_start(run_facts((), start=passed()))
    hidden = np.full((256, 3), -np.inf)
    assert not not_finite_at_start(run_facts((), start=passed(outputs=hidden)))


def test_nan_in_training_is_found(run_facts, severities):
    gradient = np.ones((20, 3))
    gradient[4:] = np.nan
    facts = run_facts((1.0, np.nan), gradient=gradient)
    (found,) = not_finite_in_training(facts)
    assert (found.severity, found.where) == ("error", "loss")
    assert found.evidence[0].step == 200
    ast.parse(found.advice[0])
    # Growing weights are a sign of divergence, and lower rates are the first advice.
    weight = np.full((20, 3), 10.0)
    weight[3:] = 1e6
    facts = run_facts((1.0, np.nan), gradient=gradient, weight=weight)
    assert "learning_rate" in not_finite_in_training(facts)[0].advice[0]


def test_gradients_that_are_nan_harm_only_with_the_weights(run_facts):
    gradient = np.ones((20, 3))
    gradient[5] = np.nan
    assert not not_finite_in_training(run_facts((1.0, 0.5), gradient=gradient))
    update = np.ones((20, 3))
    update[5] = np.nan
    run = {"gradient": gradient, "update_norm": update}
    assert not_finite_in_training(run_facts((1.0, 0.5), **run))


def test_steps_skipped_by_loss_scaling_are_no_fault(run_facts, severities):
    gradient = np.ones((20, 3))
    gradient[0] = np.inf
    skipped = np.arange(20) == 0
    facts = run_facts((1.0, 0.5), gradient=gradient, skipped=skipped)
    assert not not_finite_in_training(facts)
    assert not all_steps_skipped(facts)
    assert severities(not_finite_in_training(run_facts((1, np.nan)))) == ERROR


def test_steps_that_are_all_skipped_are_found(run_facts, severities):
    run = {"gradient": np.full((20, 3), np.inf), "skipped": np.ones(20, bool)}
    assert severities(all_steps_skipped(run_facts(STUCK, **run))) == ERROR
    run["weight"] = np.linspace(1.0, 2.0, 20)[:, None] * np.ones(3)
    assert not all_steps_skipped(run_facts(STUCK, **run))


@pytest.mark.heavy
def test_the_gradient_of_a_root_at_zero_is_traced_to_its_layer():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 4)).astype("float32")
    inputs = keras.Input((4,))
    hidden = Root()(keras.layers.Dense(8, name="first")(inputs))
    model = keras.Model(inputs, keras.layers.Dense(1, name="last")(hidden))
    model.compile("sgd", "mse")
    diagnosis = Diagnosis(verbose=0)
    model.fit(x, x[:, :1], epochs=2, verbose=0, callbacks=[diagnosis])
    (found,) = not_finite(diagnosis.report)
    assert found.where == "gradient of 'first/kernel'"
    assert "sqrt" in found.advice[0]


@pytest.mark.heavy
def test_overflow_of_float16_in_every_step_is_found():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(256, 4)).astype("float32")
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(8, "relu", dtype="mixed_float16"),
        keras.layers.Rescaling(1e6, dtype="mixed_float16"),
        keras.layers.Dense(1, dtype="float32"),
    ]
    model = keras.Sequential(layers)
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.01))
    model.compile(optimizer, "mse")
    diagnosis = Diagnosis(verbose=0, every=10)
    model.fit(x, x[:, :1], epochs=5, verbose=0, callbacks=[diagnosis])
    assert not_finite(diagnosis.report)
