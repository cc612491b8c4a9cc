"""How the end of a run compares with a constant and with simple models."""

from dataclasses import replace

import keras
import numpy as np
import pytest

from callbacks.diagnosis.data.dependence import Dependence
from callbacks.diagnosis.outcome import outcome_of
from callbacks.diagnosis.run.pass_facts import PassFacts
from callbacks.diagnosis.run.trivial import TrivialLoss

SPARSE = "sparse_categorical_crossentropy"


@pytest.fixture
def outcome(facts_of, classifier, table, training):
    """Returns the outcome of a run with a trivial loss of 1."""

    def compare(losses, *, error=0.0, possible=None, end=None, weighted=False, **more):
        facts = facts_of(classifier(3, "softmax", SPARSE), *table)
        test = None
        if possible is not None:
            test = Dependence(*[possible] * 3, 0.0, 0.01, 600, significance=20.0)
        data = replace(facts.data, dependence=test, is_weighted=weighted)
        run = training(losses, **more)
        trivial = TrivialLoss(1.0, error)
        return outcome_of(
            replace(facts, data=data, training=run, trivial=trivial, end=end)
        )

    return compare


def test_a_run_is_compared_once(facts_of, classifier, table):
    facts = facts_of(classifier(3, "softmax", SPARSE), *table)
    assert outcome_of(facts) is outcome_of(facts)
    assert outcome_of(replace(facts)) is not outcome_of(facts)


def test_a_trivial_run_is_no_better_than_a_constant(outcome):
    assert outcome((1.0, 1.0, 1.0)).is_trivial
    assert not outcome((1.0, 0.99, 0.98)).is_trivial
    assert outcome((1.0, 0.99, 0.98), error=0.01).is_trivial
    assert outcome((1.0, np.nan)).is_trivial
    assert not outcome((1.0, 0.99, 0.96), error=0.01).is_trivial
    # A constant that is known to 15 % cannot be compared with.
    assert not outcome((1.0, 1.0, 1.0), error=0.05).is_trivial


def test_a_weak_effect_that_one_batch_shows_is_not_trivial(outcome):
    end = PassFacts(loss=1.45, constant=1.5)  # a batch with large targets
    assert not outcome((1.0, 0.98), error=0.03, end=end).is_trivial
    end = PassFacts(loss=1.5, constant=1.5)
    assert outcome((1.0, 0.98), error=0.03, end=end).is_trivial


def test_simple_models_are_a_lower_bound_for_networks_of_images(facts_of, training):
    layers = [
        keras.Input((4, 4, 1)),
        keras.layers.Conv2D(2, 3),
        keras.layers.Flatten(),
        keras.layers.Dense(3, "softmax"),
    ]
    model = keras.Sequential(layers)
    model.compile("adam", SPARSE)
    x, y = np.random.default_rng(0).normal(size=(90, 4, 4, 1)), np.arange(90) % 3
    facts = facts_of(model, x.astype("float32"), y)
    test = Dependence(*[0.5] * 3, 0.0, 0.01, 600, significance=20.0)
    facts = replace(
        facts,
        data=replace(facts.data, dependence=test),
        trivial=TrivialLoss(1.0, 0.0),
    )

    def ended(loss):
        return outcome_of(replace(facts, training=training((1.0, loss))))

    assert ended(0.7).is_behind
    assert not ended(0.45).is_behind
    assert not ended(0.45).is_good  # it may still be far from what is possible
    assert ended(0.05).is_good


def test_noise_is_no_fault(outcome):
    noisy = outcome((0.9, 0.85, 0.8), possible=0.2)
    assert noisy.is_good
    assert not noisy.is_poor
    assert not noisy.could_be_better
    unknown = outcome((0.9, 0.85, 0.8))
    assert not unknown.is_good
    assert not unknown.is_poor


def test_less_than_a_linear_model_is_poor(outcome):
    poor = outcome((0.9, 0.85, 0.8), possible=0.5)
    assert poor.is_poor
    assert poor.could_be_better
    assert poor.linear == pytest.approx(0.5)
    # Simple models do not know weights.
    assert not outcome((0.9, 0.85, 0.8), possible=0.5, weighted=True).is_poor


def test_a_dead_network_is_not_good_if_nothing_is_possible(outcome):
    assert not outcome((1.0, 1.0, 1.0), possible=0.0).is_good


def test_dropout_is_judged_in_inference_mode(outcome):
    end = PassFacts(loss=0.3, penalty=0.1)
    dropped = outcome((0.9, 0.8, 0.7), end=end, possible=0.8)
    assert dropped.last == pytest.approx(0.2)
    assert dropped.is_good
    assert outcome((0.9, 0.8, 0.7), val_loss=(0.5, 0.3, 0.2), possible=0.8).is_good


def test_late_progress(outcome):
    line = outcome(np.linspace(1.0, 0.4, 10))
    assert line.late_share == pytest.approx(1 / 3)
    assert not line.is_settled
    exponential = outcome(np.exp(-np.linspace(0, 5, 31)))
    assert exponential.late_share < 0.05
    assert exponential.is_settled
    assert outcome((1.0, 1.001, 1.0, 1.001)).is_settled
    assert outcome((1.0, 0.9)).late_share is None
    # The mean over the first epoch hides most of the progress.
    assert outcome((0.56, 0.51, 0.48)).late_share < 0.1


def test_facts_of_training(training):
    run = training((1.0, 0.9), rate=np.linspace(0.1, 0.0, 20), epochs=10)
    assert run.planned_steps == 1000
    assert run.ended_early
    assert run.peak_rate == 0.1
    assert run.last_rate == 0.0
    assert not training((1.0, 0.9)).ended_early


def test_missing_gradients(training):
    run = training((1.0, 0.9), gradient=(1.0, np.nan, 0.0))
    assert run.missing_gradients.tolist() == [False, True, True]
    # A gradient that is NaN makes the weights NaN.
    weights = np.full((20, 3), 10.0)
    weights[1:, 1] = np.nan
    run = training((1.0, 0.9), gradient=(1.0, np.nan, 1.0), weight=weights)
    assert run.missing_gradients.tolist() == [False, False, False]
    late = np.ones((20, 3))
    late[0] = 0.0  # zero-initialized branches
    assert not training((1.0, 0.9), gradient=late).missing_gradients.any()
