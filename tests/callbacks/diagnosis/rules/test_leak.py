"""Validation examples that are in the training data."""

import keras
import numpy as np
import pytest

from callbacks import Diagnosis
from callbacks.diagnosis.data.leak import find_leak
from callbacks.diagnosis.rules.leak import validation_in_training

RNG = np.random.default_rng(0)
X = RNG.normal(size=(500, 4)).astype("float32")
Y = (X[:, 0] > 0) * 1
LEAK = ("data_bug", "warning", "argument `validation_data`")


@pytest.fixture
def found(classifier, facts_of):
    """Returns `[(cause, severity, where), ...]` for arrays of training and validation.

    The facts are gathered without a call to `fit`.
    """

    def of(x, validation):
        model = classifier(1, "sigmoid", "binary_crossentropy")
        leak = find_leak(x, (validation, np.zeros(len(validation))))
        findings = validation_in_training(facts_of(model, leak=leak))
        return [(one.cause, one.severity, one.where) for one in findings]

    return of


def new_examples(number):
    return np.random.default_rng(1).normal(size=(number, 4)).astype("float32")


def test_training_examples_in_validation_are_found(found):
    assert found(X, X[:100]) == [LEAK]
    assert found(X, np.concatenate([X[:30], new_examples(70)])) == [LEAK]


def test_few_equal_examples_are_no_leak(found):
    assert found(X, new_examples(100)) == []
    assert found(X, np.concatenate([X[:10], new_examples(90)])) == []


def test_examples_that_are_equal_by_chance_are_no_leak(found):
    x = RNG.integers(0, 3, size=(800, 4)).astype("float32")  # 81 different rows
    assert find_leak(x[:700], (x[700:], None)).share > 0.99
    assert found(x[:700], x[700:]) == []


@pytest.mark.heavy
@pytest.mark.parametrize("leaks", [True, False])
def test_fit_is_compared_with_its_validation_data(classifier, leaks):
    model = classifier(1, "sigmoid", "binary_crossentropy")
    diagnosis = Diagnosis(verbose=0)
    arguments = {"validation_data": (X[:50], Y[:50])}
    if not leaks:
        arguments = {"validation_split": 0.2}
    model.fit(X, Y, batch_size=250, verbose=0, callbacks=[diagnosis], **arguments)
    assert diagnosis.report.not_seen == ()
    wheres = [one.where for one in diagnosis.report.findings]
    assert ("argument `validation_data`" in wheres) == leaks


@pytest.mark.parametrize(
    ("x", "validation"),
    [
        (X, None),
        (X, keras.utils.PyDataset()),
        (X, (X[:10], Y[:10])),  # too few
        ([[1.0]] * 50, ([[1.0]] * 50, [0] * 50)),
    ],
)
def test_what_cannot_be_compared_is_unknown(x, validation):
    assert find_leak(x, validation) is None


def test_structures_are_compared_as_a_whole():
    x = {"a": X[:, :2], "b": X[:, 2:]}
    same = {"a": X[:50, :2], "b": X[:50, 2:]}
    other = {"a": X[:50, :2], "b": X[50:100, 2:]}
    assert find_leak(x, (same, Y[:50])).share == 1
    assert find_leak(x, (other, Y[:50])).share == 0


def test_the_advice_removes_the_leak(found, classifier, facts_of):
    x, x_val = X, np.concatenate([X[:30], new_examples(70)])
    leak = find_leak(x, (x_val, None))
    model = classifier(1, "sigmoid", "binary_crossentropy")
    (one,) = validation_in_training(facts_of(model, leak=leak))
    scope = {"x": x, "y": Y, "x_val": x_val}
    exec(one.advice[0], scope)
    assert len(scope["x"]) == len(scope["y"]) == 470
    assert found(scope["x"], x_val) == []
