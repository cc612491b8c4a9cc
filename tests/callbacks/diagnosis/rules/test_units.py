import ast

import keras
import numpy as np
import pytest

from callbacks import Diagnosis, diagnose
from callbacks.diagnosis.rules.units import (
    dead_output,
    dead_units,
    saturated_units,
    symmetric_units,
)

pytestmark = pytest.mark.one_backend

SPARSE = "sparse_categorical_crossentropy"
FALLING = (1.0, 0.7, 0.5, 0.35, 0.25, 0.2, 0.15, 0.11, 0.09, 0.08)
STUCK = (1.1, 1.1, 1.1, 1.1, 1.1, 1.1)
SLOW = (1.1, 1.0, 0.9, 0.85)
MOST, EVERY = [1.0] * 15 + [0.6], [1.0] * 16


def causes(report):
    return [one.cause for one in report.findings if one.severity != "hint"]


@pytest.mark.parametrize(
    ("losses", "zeros", "severity"),
    [
        (STUCK, EVERY, "error"),
        (STUCK, MOST, "error"),  # no better than a constant
        (SLOW, EVERY, "error"),
        (SLOW, MOST, "hint"),  # all that can be learned, as far as is known
        (FALLING, EVERY, "hint"),
        (STUCK, [1.0] * 8 + [0.6] * 8, None),
        (STUCK, [0.8] * 16, None),  # sparse, but each unit is used
    ],
)
def test_dead_units(
    run_facts, passed, outputs_of_layer, severities, losses, zeros, severity
):
    facts = run_facts(losses, end=passed(outputs_of_layer(zeros)))
    expected = [] if severity is None else [("dead_units", severity)]
    found = dead_units(facts)
    assert severities(found) == expected
    for one in found:
        ast.parse(one.advice[0])
        assert "leaky_relu" in one.advice[0]
        assert "'hidden'" in one.advice[0]


def test_units_that_die_in_the_run_are_a_fault(
    run_facts, passed, outputs_of_layer, severities
):
    start = passed(outputs_of_layer([0.5] * 16))
    end = passed(outputs_of_layer(MOST))
    facts = run_facts(SLOW, start=start, end=end)
    assert severities(dead_units(facts)) == [("dead_units", "warning")]
    facts = run_facts(SLOW, end=end, poor=True)
    assert severities(dead_units(facts)) == [("dead_units", "warning")]


def test_a_sample_of_one_class_says_nothing(run_facts, passed, outputs_of_layer):
    end = passed(outputs_of_layer(MOST), labels=np.zeros(256))
    assert not dead_units(run_facts(STUCK, end=end))
    end = passed(outputs_of_layer(MOST), size=32)
    assert not dead_units(run_facts(STUCK, end=end))


def test_a_residual_branch_that_starts_at_zero_is_no_fault(dense, table):
    inputs = keras.Input((4,))
    stream = dense(16)(inputs)
    branch = dense(16, "relu", kernel_initializer="zeros")(dense(16)(stream))
    end = dense(3, "softmax")(keras.layers.add([stream, branch]))
    model = keras.Model(inputs, end)
    model.compile("adam", SPARSE)
    assert not causes(diagnose(model, *table))


@pytest.mark.parametrize("layer", [keras.layers.ReLU, keras.layers.Activation])
def test_the_fix_names_the_layer_of_the_activation(compiled, dense, table, layer):
    options = {"activation": "relu"} if layer is keras.layers.Activation else {}
    biased = keras.initializers.Constant(-50.0)
    model = compiled(
        dense(16, None, bias_initializer=biased),
        layer(name="act", **options),
        dense(3, "softmax"),
    )
    report = diagnose(model, *table)
    (found,) = (one for one in report.findings if one.cause == "dead_units")
    made = eval(found.advice[0], {"keras": keras})
    assert made.name == "act"
    assert float(made(np.array([-1.0]))[0]) < 0


def outputs_with(dead):
    outputs = np.abs(np.random.default_rng(0).normal(size=(256, 5)))
    outputs[:, dead] = 0
    return outputs


@pytest.fixture
def regression(run_facts, facts_of, dense, passed):
    """Builds the facts of a regression with five outputs."""

    def build(activation, dead, targets=None):
        model = keras.Sequential([keras.Input((4,)), dense(5, activation, name="end")])
        model.compile("adam", "mse")
        rng = np.random.default_rng(0)
        x = rng.normal(size=(256, 4)).astype("float32")
        targets = np.abs(rng.normal(size=(256, 5))) if targets is None else targets
        end = passed(outputs=outputs_with(dead), labels=targets)
        return facts_of(model, x, targets, end=end)

    return build


@pytest.mark.parametrize(
    ("dead", "severity"), [([1, 3], "warning"), (range(5), "error"), ([], None)]
)
def test_dead_outputs(regression, severities, dead, severity):
    expected = [] if severity is None else [("dead_units", severity)]
    found = dead_output(regression("relu", list(dead)))
    assert severities(found) == expected
    for one in found:
        ast.parse(one.advice[0])
        assert "'end'" in one.advice[0]


def test_outputs_that_should_be_zero_are_no_fault(regression):
    targets = np.abs(np.random.default_rng(0).normal(size=(256, 5)))
    targets[:, [1, 3]] = 0
    targets[:4, 3] = 1  # a rare event
    assert not dead_output(regression("relu", [1, 3], targets))
    assert not dead_output(regression("softplus", [1, 3]))


@pytest.fixture
def bounded(dense):
    model = keras.Sequential(
        [keras.Input((4,)), dense(16, "tanh", name="hidden"), dense(3, "softmax")]
    )
    model.compile("adam", SPARSE)
    return model


@pytest.mark.parametrize(
    ("losses", "share", "severity"),
    [
        (STUCK, 0.9, "error"),
        (SLOW, 0.9, None),
        (FALLING, 0.9, None),
        (STUCK, 0.4, None),
    ],
)
def test_saturated_units(
    run_facts, passed, outputs_of_layer, bounded, severities, losses, share, severity
):
    end = passed(outputs_of_layer(np.zeros(16), share))
    found = saturated_units(run_facts(losses, end=end, model=bounded))
    expected = [] if severity is None else [("saturated_units", severity)]
    assert severities(found) == expected
    for one in found:
        made = eval(one.advice[0], {"keras": keras})
        assert (made.name, made.units) == ("hidden", 16)
        assert made.activation is keras.activations.relu


def test_saturated_units_are_found_before_training(bounded, table):
    x, y = table
    assert "saturated_units" not in causes(diagnose(bounded, x, y))
    kernel, bias = bounded.get_layer("hidden").get_weights()
    bounded.get_layer("hidden").set_weights([100 * kernel, bias])
    report = diagnose(bounded, x, y)
    assert "saturated_units" in [*causes(report), "bad_initialization"]
    start = saturated_units(report_facts(bounded, x, y))
    assert [one.severity for one in start] == ["warning"]


def report_facts(model, x, y):
    """Returns the facts of a model and data before training."""
    from callbacks.diagnosis.data.data_facts import describe_data
    from callbacks.diagnosis.data.sample_data import take_sample
    from callbacks.diagnosis.facts import Facts
    from callbacks.diagnosis.reading.model_facts import read_model
    from callbacks.diagnosis.run.pass_facts import run_pass

    sample = take_sample(x, y)
    return Facts(
        read_model(model, x, y), describe_data(sample), start=run_pass(model, sample)
    )


def test_gates_that_start_closed_are_no_fault(dense, table):
    """A highway layer: Srivastava et al., 2015."""
    inputs = keras.Input((4,))
    hidden = dense(64)(inputs)
    closed = keras.initializers.Constant(-4.0)
    gate = dense(64, "sigmoid", bias_initializer=closed)(hidden)
    mixed = gate * dense(64)(hidden) + (1 - gate) * hidden
    model = keras.Model(inputs, dense(3, "softmax")(mixed))
    model.compile("adam", SPARSE)
    assert not causes(diagnose(model, *table))


@pytest.mark.parametrize(
    ("losses", "severity"), [(STUCK, "error"), (SLOW, "warning"), (FALLING, "hint")]
)
def test_identical_units(run_facts, severities, losses, severity):
    facts = run_facts(losses, identical_units=("hidden/kernel",))
    found = symmetric_units(facts)
    assert severities(found) == [("symmetric_units", severity)]
    made = eval(found[0].advice[0], {"keras": keras})
    assert made.name == "hidden"


def test_identical_outputs_are_no_fault(run_facts):
    facts = run_facts(STUCK, identical_units=("output/kernel",))
    assert not symmetric_units(facts)
    assert not symmetric_units(run_facts(STUCK))


@pytest.mark.heavy
def test_equal_initial_weights_stay_symmetric(compiled, dense, table):
    constant = keras.initializers.Constant(0.3)
    hidden = [dense(16, kernel_initializer=constant) for _ in range(2)]
    end = dense(3, "softmax", kernel_initializer=constant)
    model = compiled(*hidden, end, optimizer=keras.optimizers.Adam(0.01))
    diagnosis = Diagnosis(verbose=0, every=5)
    model.fit(*table, epochs=10, verbose=0, callbacks=[diagnosis])
    facts = causes(diagnosis.report)
    assert facts[:1] == ["bad_initialization"]
