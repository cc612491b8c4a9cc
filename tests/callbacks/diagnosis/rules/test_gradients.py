import ast
from dataclasses import replace

import keras
import numpy as np
import pytest

from callbacks import Diagnosis
from callbacks.diagnosis.data.sample_data import Sample
from callbacks.diagnosis.rules.gradients import (
    exploding,
    vanishing,
    vanishing_over_time,
)
from callbacks.diagnosis.run.time_gradients import TimeGradient, time_gradients

pytestmark = pytest.mark.one_backend

SPARSE = "sparse_categorical_crossentropy"
FALLING = (1.0, 0.7, 0.5, 0.35, 0.25, 0.2, 0.15, 0.11, 0.09, 0.08)
STUCK = (1.1, 1.1, 1.1, 1.1, 1.1, 1.1)
SLOW = (1.1, 1.0, 0.9, 0.85)
DEPTH = 4


@pytest.fixture
def deep():
    """Builds a deep classifier, whose layers are named as in written runs."""

    def build(activation="sigmoid"):
        layers = [
            keras.layers.Dense(16, activation, name=f"layer_{i}")
            for i in range(DEPTH - 1)
        ]
        end = keras.layers.Dense(3, "softmax", name=f"layer_{DEPTH - 1}")
        model = keras.Sequential([keras.Input((4,)), *layers, end])
        model.compile("adam", SPARSE)
        return model

    return build


def written(gradient, **more):
    return {"gradient": gradient, "weight": (10.0,) * len(gradient)} | more


def test_vanishing_gradients_are_found(run_facts, severities, deep):
    run = written((1e-7, 1e-4, 1e-2, 1.0))
    (found,) = vanishing(run_facts(STUCK, model=deep(), **run))
    assert (found.cause, found.severity) == ("vanishing_gradients", "error")
    assert found.where == "layer 'layer_0'"
    assert not vanishing(run_facts(FALLING, model=deep(), **run))  # it learns
    run = written((1e-2, 1e-1, 0.5, 1.0))
    assert not vanishing(run_facts(STUCK, model=deep(), **run))


def test_noisy_labels_are_not_vanishing_gradients(run_facts, severities, deep):
    run = written((1e-7, 1e-4, 1e-2, 1.0))
    facts = run_facts(SLOW, model=deep(), **run)  # 23 % are all that can be learned
    assert not vanishing(facts)
    facts = run_facts(SLOW, model=deep(), poor=True, **run)  # a linear model is better
    assert severities(vanishing(facts)) == [("vanishing_gradients", "warning")]


def test_first_layers_that_stay_initial_are_vanishing_gradients(
    run_facts, severities, deep
):
    run = written((1e-7, 1e-4, 1e-2, 1.0))
    ratios = np.array([1e-7, 1e-5, 1e-4, 1e-3]) * np.ones((20, 1))
    facts = run_facts(SLOW, model=deep(), **run, update_norm=10 * ratios)
    assert severities(vanishing(facts)) == [("vanishing_gradients", "warning")]


def test_the_fix_of_vanishing_gradients_changes_all_layers(run_facts, deep):
    run = written((1e-7, 1e-4, 1e-2, 1.0))
    model = deep()
    (found,) = vanishing(run_facts(STUCK, model=model, **run))
    exec(found.advice[0], {"model": model, "keras": keras})
    for layer in model.layers[:-1]:
        assert layer.activation is keras.activations.relu
    model = deep("relu")
    before = model.get_weights()
    (found,) = vanishing(run_facts(STUCK, model=model, **run))
    exec(found.advice[0], {"model": model, "keras": keras})
    assert not np.array_equal(before[0], model.get_weights()[0])


def test_branches_are_not_taken_for_depth(run_facts):
    inputs = keras.Input((4,))
    branches = [keras.layers.Dense(3, name=f"layer_{i}")(inputs) for i in range(DEPTH)]
    model = keras.Model(inputs, keras.layers.Softmax()(keras.layers.add(branches)))
    model.compile("adam", SPARSE)
    run = written((1e-7, 1e-4, 1e-2, 1.0))
    assert not vanishing(run_facts(STUCK, model=model, **run))


def test_exploding_gradients_are_found_in_any_unit(run_facts, severities):
    for unit in (1.0, 1e6):
        losses = unit * np.array([1.1, 1.4, 1.1, 1.2])
        facts = run_facts(losses, gradient=(unit * 1e4, unit, unit))
        (found,) = exploding(facts)
        assert (found.cause, found.severity) == ("exploding_gradients", "warning")
        ast.parse(found.advice[0])
        assert not exploding(run_facts(losses, gradient=(unit * 10, unit, unit)))


def test_one_large_gradient_is_not_exploding(run_facts):
    gradient = np.ones((20, 3))
    gradient[7] = 1e6  # a batch of one example
    assert not exploding(run_facts(STUCK, gradient=gradient))


def test_large_gradients_without_harm_are_a_hint(run_facts, severities, classifier):
    run = {"gradient": (1e4, 1.0, 1.0)}
    hint = [("exploding_gradients", "hint")]
    assert severities(exploding(run_facts(SLOW, **run))) == hint
    clipped = keras.optimizers.Adam(global_clipnorm=1.0)
    model = classifier(3, "softmax", SPARSE, optimizer=clipped)
    assert severities(exploding(run_facts(STUCK, model=model, **run))) == hint


def test_unknown_losses_do_not_explode(run_facts, classifier):
    def critic(y, p):
        return keras.ops.mean(p, axis=-1)

    model = classifier(3, None, critic)
    losses = (1e-4, -1e-4, 1e-4)  # a difference that is near zero
    assert not exploding(run_facts(losses, model=model, gradient=(1.0, 1.0, 1.0)))


def test_the_start_is_judged_by_its_own_loss(run_facts, passed):
    gradients = {"hidden/kernel": 1e4, "output/kernel": 1.0}
    weights = {"hidden/kernel": 10.0, "output/kernel": 10.0}
    names = ("hidden/kernel", "output/kernel", "other/kernel")
    for loss, is_found in ((1.0, True), (1e3, False)):
        start = passed(loss=loss, gradient_norms=gradients, weight_norms=weights)
        facts = run_facts(STUCK, start=start, variables=names)
        assert bool(exploding(facts)) is is_found


def recurrent(kind, steps, **options):
    """Builds a model that must remember the first of many steps."""
    layers = [
        keras.Input((steps, 1)),
        kind(16, name="memory", **options),
        keras.layers.Dense(2, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", SPARSE)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(1024, steps, 1)).astype("float32")
    return model, x, (x[:, 0, 0] > 0).astype("int32")


def test_gradients_that_vanish_over_time_are_found(run_facts, severities, passed):
    for losses, ratio, expected in (
        (STUCK, 1e-6, [("vanishing_gradients", "error")]),
        (STUCK, 0.1, []),
        (FALLING, 1e-6, []),  # the last steps suffice
    ):
        found = (TimeGradient("memory", 500, ratio),)
        facts = run_facts(losses, end=passed(time_gradients=found))
        assert severities(vanishing_over_time(facts)) == expected


@pytest.mark.heavy
def test_gradients_over_time_are_measured():
    def ratio(model, x, y):
        (found,) = time_gradients(model, Sample(x, y))
        assert (found.layer, found.steps) == ("memory", x.shape[1])
        return found.ratio

    # Each step of a linear recurrence multiplies the gradient by the recurrent weight.
    model, x, y = recurrent(keras.layers.SimpleRNN, 40, activation=None)
    cell = model.get_layer("memory").cell
    cell.recurrent_kernel.assign(0.5 * np.eye(16))
    before = [np.array(one) for one in model.variables]
    expected = np.mean(0.5 ** np.arange(36, 40)) / np.mean(0.5 ** np.arange(4))
    np.testing.assert_allclose(ratio(model, x, y), expected, rtol=1e-3)
    for a, b in zip(before, model.variables, strict=True):
        np.testing.assert_array_equal(a, np.array(b))
    cell.recurrent_kernel.assign(np.eye(16))
    np.testing.assert_allclose(ratio(model, x, y), 1.0, rtol=1e-3)
    model, x, y = recurrent(keras.layers.LSTM, 10)
    assert time_gradients(model, Sample(x, y)) == ()


@pytest.mark.heavy
def test_masked_steps_have_no_gradient_to_vanish():
    layers = [
        keras.Input((60,)),
        keras.layers.Embedding(9, 4, mask_zero=True),
        keras.layers.SimpleRNN(8, activation=None, name="memory"),
        keras.layers.Dense(2, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", SPARSE)
    model.get_layer("memory").cell.recurrent_kernel.assign(np.eye(8))
    x = np.random.default_rng(0).integers(1, 9, (32, 60))
    x[:, :30] = 0
    (found,) = time_gradients(model, Sample(x, np.arange(32) % 2))
    np.testing.assert_allclose(found.ratio, 1.0, rtol=1e-3)


@pytest.mark.heavy
def test_a_plain_recurrence_over_many_steps_vanishes():
    model, x, y = recurrent(keras.layers.SimpleRNN, 200)
    diagnosis = Diagnosis(verbose=0, every=5)
    model.fit(x, y, batch_size=64, epochs=3, verbose=0, callbacks=[diagnosis])
    found = [one.cause for one in diagnosis.report.findings if one.severity != "hint"]
    assert found[:1] == ["vanishing_gradients"]


def test_facts_without_a_graph_are_not_judged(run_facts, deep):
    run = written((1e-7, 1e-4, 1e-2, 1.0))
    facts = run_facts(STUCK, model=deep(), **run)
    facts = replace(facts, model=replace(facts.model, graph=None))
    assert vanishing(facts) == []
