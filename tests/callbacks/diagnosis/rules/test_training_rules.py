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
            test = Dependence(possible, possible, possible, 0.0, 0.02, 600)
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


@pytest.mark.parametrize("ratio", [1e-6, 1e-4, 1e-3, 1e-2, 0.09, 0.3])
def test_a_run_that_ends_well_is_healthy_at_any_ratio(judged, ratio):
    assert judged(FALLING, ratio=ratio, records=30) == []


def test_a_decaying_rate_is_judged_at_its_peak(judged):
    decay = np.geomspace(1, 1e-6, 20)
    assert judged(FALLING, ratio=1e-3 * decay, rate=1e-3 * decay) == []


# Rates.


def test_a_high_rate_that_stops_learning_is_found(judged):
    assert judged(STUCK, ratio=0.3, rate=0.5) == [("learning_rate_too_high", "error")]
    assert judged(STUCK, ratio=0.05, rate=0.5) == [("not_learning", "error")]


def test_weights_that_grow_without_learning_are_a_high_rate(judged):
    weight = np.linspace(10.0, 80.0, 20)[:, None] * np.ones(3)
    found = judged(STUCK, weight=weight, ratio=0.02)
    assert found == [("learning_rate_too_high", "error")]
    assert judged(FALLING, weight=weight, ratio=0.02) == []


def test_initial_weights_that_are_overwritten_are_a_high_rate(judged):
    poor = (1.1, 1.0, 0.9, 0.9)
    weight = np.full((20, 3), 80.0)
    weight[0] = 10.0
    ratio = np.full(20, 0.02)
    ratio[0] = 0.8
    found = judged(poor, weight=weight, ratio=ratio)
    assert found == [("learning_rate_too_high", "warning")]
    ratio[0] = 0.1  # weights that started very small
    assert judged(poor, weight=weight, ratio=ratio) == []


def test_a_loss_far_above_a_constant_predictor_is_found(judged):
    expected = [("learning_rate_too_high", "warning")]
    assert judged((1.1, 9.0, 2.0, 0.8), ratio=0.05) == expected
    assert judged((1.1, 1.3, 0.8, 0.4), ratio=0.05) == []


def test_nan_after_growing_weights_is_a_high_rate(judged):
    weight = np.full((20, 3), 10.0)
    weight[5:] = 1e6
    losses = (1.1, np.nan, np.nan)
    expected = [("learning_rate_too_high", "error")]
    assert judged(losses, ratio=0.5, weight=weight) == expected
    assert judged(losses) == [("not_finite", "error")]


def test_a_low_rate_is_found(judged):
    flat = np.linspace(1.1, 1.08, 6)
    expected = [("learning_rate_too_low", "error")]
    assert judged(flat, ratio=1e-5, possible=0.9) == expected
    assert judged(FALLING, ratio=1e-5) == []


def test_small_rates_of_fine_tuning_are_no_fault(judged, classifier):
    model = classifier(3, "softmax", SPARSE)
    rng = np.random.default_rng(0)
    hidden = model.get_layer("hidden")
    hidden.set_weights([rng.normal(size=(4, 16)), np.zeros(16)])
    hidden.trainable = False
    model.compile("adam", SPARSE)
    flat = np.linspace(1.09, 1.03, 6)
    assert judged(flat, ratio=1e-5, model=model) == []


# Gradients.


def test_vanishing_gradients_are_found(judged):
    vanishing = (1e-7, 1e-4, 1e-2, 1.0)
    options = {"gradient": vanishing, "weight": (10.0,) * 4, "possible": 0.9}
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


def test_units_that_die_after_large_updates_are_a_high_rate(judged):
    alive, dead = passed(layer([0.5] * 16)), passed(layer([1.0] * 15 + [0.6]))
    losses = (1.0, 0.7, 0.5, 0.5)
    for ratio, cause in ((0.2, "learning_rate_too_high"), (1e-3, "dead_units")):
        found = judged(losses, start=alive, end=dead, ratio=ratio)
        assert found == [(cause, "warning")]


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
    end = passed(layer(zeros, 0.9), loss=1.1)
    found = judged(STUCK, end=end, model=model(), possible=0.9)
    assert found == [("saturated_units", "warning")]
    assert judged(FALLING, end=end, model=model()) == []
    end = passed(layer(zeros, 0.4), loss=1.1)
    found = judged(STUCK, end=end, model=model(), possible=0.9)
    assert found == [("not_learning", "error")]


def test_identical_units_are_found(judged):
    names = ("hidden/kernel",)
    expected = [("symmetric_units", "error")]
    assert judged(STUCK, identical_units=names) == expected


# Progress.


def test_a_loss_that_falls_in_a_line_needs_more_steps(judged):
    expected = [("too_few_steps", "warning")]
    assert judged(LINE, possible=0.9) == expected
    assert judged(LINE, val_loss=LINE + 0.05, possible=0.9) == expected
    flat = np.full(8, 1.0)
    assert judged(LINE, val_loss=flat, possible=0.9) == []  # more steps do not help
    assert judged(LINE, possible=0.25) == []  # as good as possible
    assert judged(LINE) == []  # unknown


def test_few_steps_in_an_epoch_are_a_large_batch(judged):
    expected = [("unfit_batch_size", "warning")]
    assert judged(LINE, steps_per_epoch=2, size=2000, possible=0.9) == expected
    expected = [("too_few_steps", "warning")]
    assert judged(LINE, steps_per_epoch=50, size=2000, possible=0.9) == expected
    # Only 200 examples.
    assert judged(LINE, steps_per_epoch=2, possible=0.9) == expected


def test_a_plateau_below_what_is_possible_is_underfitting(judged):
    plateau = (1.05, 0.8, 0.75, 0.745, 0.744, 0.744, 0.743, 0.743)
    found = judged(plateau, possible=0.9)
    assert found == [("underfitting", "warning")]
    assert judged(plateau, possible=0.33) == []
    assert judged(plateau, accuracy=0.5) == []


def test_a_bottleneck_is_underfitting(judged):
    def model(width):
        layers = [
            keras.Input((4,)),
            keras.layers.Dense(16, "relu"),
            keras.layers.Dense(width, "relu", name="narrow"),
            keras.layers.Dense(12, "softmax"),
        ]
        model = keras.Sequential(layers)
        model.compile("adam", SPARSE)
        return model

    plateau = (1.05, 0.8, 0.75, 0.745, 0.744, 0.744, 0.743, 0.743)
    assert judged(plateau, model=model(2)) == [("underfitting", "warning")]
    assert judged(plateau, model=model(6)) == []
    assert judged(FALLING, model=model(2)) == []


def test_no_progress_without_a_cause_is_said(judged):
    assert judged(STUCK) == [("not_learning", "error")]
    assert judged(STUCK, steps_per_epoch=5) == []  # 30 steps are too few to say


# Generalization.


def test_overfitting_is_found(judged):
    train = np.geomspace(1.0, 0.01, 12)
    rising = np.concatenate([[0.9, 0.6, 0.5], np.linspace(0.5, 1.2, 9)])
    assert judged(train, val_loss=rising) == [("overfitting", "warning")]
    slightly = np.concatenate([[0.9, 0.6, 0.5], np.linspace(0.5, 0.6, 9)])
    assert judged(train, val_loss=slightly) == []
    assert judged(train, val_loss=train / 2) == []  # dropout


def test_memorizing_without_validation_progress_is_found(judged):
    train = np.geomspace(1.0, 0.3, 8)
    found = judged(train, val_loss=np.linspace(1.2, 2.0, 8))
    assert found[0] == ("labels_independent_of_inputs", "warning")
    found = judged(train, val_loss=np.concatenate([[0.9], np.linspace(1.2, 1.3, 7)]))
    assert "labels_independent_of_inputs" not in dict(found)


def test_inference_that_differs_is_found(judged):
    expected = [("train_and_inference_differ", "warning")]
    assert judged(FALLING, end=passed(loss=2.0, training_loss=0.2)) == expected
    assert judged(FALLING, end=passed(loss=0.25, training_loss=0.2)) == []
    assert judged(FALLING, end=passed(loss=0.1, training_loss=0.5)) == []  # dropout


def test_a_penalty_that_wins_is_found(judged):
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(16, "relu", kernel_regularizer="l2", name="hidden"),
        keras.layers.Dense(3, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", SPARSE)
    losses = (6.0, 3.0, 2.4, 2.3, 2.3)
    end = passed(loss=2.3, training_loss=2.3, penalty=1.25)
    found = judged(losses, end=end, model=model, possible=0.9)
    assert found == [("over_regularized", "warning")]
    losses = (2.0, 1.0, 0.5, 0.3, 0.3)
    assert judged(losses, end=passed(penalty=0.2), model=model) == []


def test_a_penalty_that_starts_far_above_the_loss_is_found(judged):
    layers = [
        keras.Input((4,)),
        keras.layers.Dense(16, "relu", kernel_regularizer="l2", name="hidden"),
        keras.layers.Dense(3, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", SPARSE)
    for penalty, expected in ((30.0, [("over_regularized", "warning")]), (3.0, [])):
        start = passed(loss=1.1 + penalty, penalty=penalty)
        assert judged(FALLING, start=start, model=model) == expected


def test_noise_in_inference_is_found(judged):
    layers = [
        keras.Input((4,)),
        keras.layers.Dropout(0.5),
        keras.layers.Dense(3, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", SPARSE)
    expected = [("train_and_inference_differ", "warning")]
    assert judged(FALLING, end=passed(is_random=True), model=model) == expected
    assert judged(FALLING, end=passed(), model=model) == []
