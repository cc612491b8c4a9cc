import numpy as np
import pytest

from callbacks.diagnosis.data.sample_data import Sample
from callbacks.diagnosis.rules.target_scale import targets_not_scaled
from callbacks.diagnosis.run.pass_facts import PassFacts

pytestmark = pytest.mark.one_backend

RNG = np.random.default_rng(0)
X = RNG.normal(size=(200, 4)).astype("float32")
PRICES = 250 + 80 * X[:, :1].astype("float64")


def severity(facts):
    (one,) = targets_not_scaled(facts)
    assert one.cause == "labels_out_of_range"
    return one.severity


def test_large_units_are_a_hint_before_and_during_training(
    classifier, facts_of, training
):
    model = classifier(1, None, "mse")
    assert severity(facts_of(model, X, PRICES)) == "hint"
    one_epoch = training([7e4], steps_per_epoch=13, is_over=False)
    assert severity(facts_of(model, X, PRICES, training=one_epoch)) == "hint"
    assert targets_not_scaled(facts_of(model, X, PRICES / 100)) == []


@pytest.mark.parametrize(("reached", "expected"), [(5.0, "warning"), (245.0, "hint")])
def test_outputs_that_stay_far_away_are_the_fault(
    classifier, facts_of, training, reached, expected
):
    model = classifier(1, None, "mae")
    end = PassFacts(
        loss=1.0, outputs=(np.full((200, 1), reached),), sample=Sample(X, PRICES)
    )
    run = training([250.0, 249.0, 248.0])
    facts = facts_of(model, X, PRICES, training=run, end=end)
    assert severity(facts) == expected


def test_sgd_diverges_on_large_targets(classifier, facts_of, training):
    run = training([9e9, np.nan], is_over=False)
    for optimizer, expected in (("sgd", "warning"), ("adam", "hint")):
        model = classifier(1, None, "mse", optimizer=optimizer)
        assert severity(facts_of(model, X, PRICES, training=run)) == expected
