from dataclasses import replace
from types import SimpleNamespace

import keras
import pytest

from callbacks.diagnosis.finding import finding
from callbacks.diagnosis.rules.rule import rule

pytestmark = pytest.mark.one_backend


def outcome(**known):
    """An outcome of which only `known` is known."""
    names = "is_good", "is_trivial", "is_poor", "could_be_better"
    unknown = dict.fromkeys(names, False)
    figures = {"last": 1.0, "explained": 0.7, "knows_possible": False}
    values = unknown | figures | known
    is_behind = values["is_poor"] or values["could_be_better"]
    return SimpleNamespace(**values, is_harmed=values["is_trivial"] or is_behind)


@pytest.fixture
def severity(monkeypatch, facts_of, classifier, training):
    """Judges a model by a risky rule, in a run with a given outcome."""

    def judged(ended, before="warning", *, is_over=True, is_run=True):
        module = "callbacks.diagnosis.rules.rule"
        monkeypatch.setattr(f"{module}.outcome_of", lambda _: ended)

        @rule("model", is_risk=True)
        def risk(facts):
            return [finding("data_bug", before, "data `x`", "Odd.", "x = 1")]

        facts = facts_of(classifier(3, "softmax", "mse"))
        if is_run:
            facts = replace(facts, training=training([1.0], is_over=is_over))
        (one,) = risk(facts)
        return one.severity

    return judged


@pytest.mark.parametrize(
    "known",
    [
        {"is_trivial": True},
        {"is_poor": True},
        {"could_be_better": True},
        {"last": float("nan")},
        {"explained": 0.3},
    ],
)
def test_a_risk_with_harm_is_a_warning(severity, known):
    assert severity(outcome(**known)) == "warning"


@pytest.mark.parametrize(
    "known",
    [
        {"is_good": True, "is_poor": True},
        {},
        {"explained": None},
        {
            "explained": 0.3,
            "knows_possible": True,
        },  # noise, which simple models do not beat
    ],
)
def test_a_risk_without_harm_is_a_hint(severity, known):
    assert severity(outcome(**known)) == "hint"


def test_a_risk_is_judged_at_the_end_of_a_run(severity):
    assert severity(outcome(is_trivial=True), is_over=False) == "hint"
    assert severity(outcome(), is_run=False) == "warning"


def test_an_error_needs_no_more_than_a_run_that_is_not_good(severity):
    assert severity(outcome(), "error") == "error"
    assert severity(outcome(), "error", is_over=False) == "error"
    assert severity(outcome(is_good=True), "error") == "hint"


def test_a_rule_is_silent_without_its_needs(facts_of, classifier):
    @rule("model", "known_loss")
    def known(facts):
        return [finding("data_bug", "warning", "data `x`", "Odd.", "x = 1")]

    assert len(known(facts_of(classifier(3, "softmax", "mse")))) == 1
    own = classifier(3, "softmax", lambda y, p: keras.ops.mean(p, axis=-1))
    assert known(facts_of(own)) == []


@pytest.mark.parametrize("arguments", [("start",), ("model", "everything")])
def test_unknown_moments_and_needs_are_rejected(arguments):
    with pytest.raises(ValueError, match="Unknown"):
        rule(*arguments)(lambda facts: [])
