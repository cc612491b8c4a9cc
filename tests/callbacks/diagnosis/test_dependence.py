"""Whether simple models find dependences, and only those that are there."""

import keras
import numpy as np
import pytest

from callbacks.diagnosis.data.data_facts import describe_data
from callbacks.diagnosis.data.dependence import (
    applies_to,
    measure_dependence,
    reads_ids,
    sees_all,
)
from callbacks.diagnosis.data.sample_data import take_sample
from callbacks.diagnosis.reading.model_facts import read_model

RNG = np.random.default_rng(0)
X = RNG.normal(size=(1200, 10))
NOISE = RNG.normal(size=1200)


@pytest.mark.parametrize(
    ("target", "is_class"),
    [
        ((X[:, 0] + NOISE > 2.6) * 1, True),  # 3 % ones: no accuracy above 97 %
        ((X[:, 0] * X[:, 1] > 0) * 1, True),
        (0.3 * X[:, 0] + NOISE, False),
    ],
)
def test_weak_dependences_are_certain(target, is_class):
    found = measure_dependence(X, target if is_class else None, target)
    assert found.is_certain
    permuted = RNG.permutation(target)
    by_chance = measure_dependence(X, permuted if is_class else None, permuted)
    assert not by_chance.is_certain
    assert by_chance.best < 0.02


def test_repeated_examples_do_not_count():
    x, y = np.tile(X[:150], (8, 1)), np.tile(RNG.integers(0, 2, 150), 8)
    assert measure_dependence(x, y, y) is None


def test_what_simple_models_cannot_say_is_unknown():
    def dependence(x, y):
        return describe_data(take_sample(x, y), dependence=True).dependence

    assert dependence(X[:500], np.array(["cat", "dog"] * 250)) is None
    assert dependence(X[:500], RNG.normal(size=(500, 2))) is None
    assert dependence([X[:500], X[:500]], NOISE[:500]) is None
    assert dependence(X[:300], NOISE[:300]) is None


def test_ids_are_compared_by_their_presence():
    """The class is whether word 7 occurs, at any place."""
    ids = RNG.integers(0, 5000, size=(600, 20))
    y = RNG.integers(0, 2, 600)
    ids[ids == 7] = 8
    ids[y == 1, RNG.integers(0, 20, y.sum())] = 7
    assert measure_dependence(ids, y, y, has_ids=True).best > 0.5
    assert measure_dependence(ids, y, y).best < 0.1


def test_only_models_of_tables_see_no_more_than_simple_models():
    def applies(*layers, shape=(10,)):
        model = keras.Sequential([keras.Input(shape), *layers])
        model.compile("adam", "mse")
        read = read_model(model)
        is_id = isinstance(layers[0], keras.layers.Embedding)
        assert applies_to(read)
        assert reads_ids(read) == is_id
        return sees_all(read)

    dense = keras.layers.Dense
    assert applies(dense(4, "relu"), keras.layers.Dropout(0.5), dense(1))
    assert applies(keras.layers.Flatten(), dense(1), shape=(4, 4))
    assert not applies(keras.layers.Embedding(9, 4), keras.layers.Flatten(), dense(1))
    assert not applies(keras.layers.LSTM(4), dense(1), shape=(5, 2))
    conv = keras.layers.Conv2D(2, 3)
    assert not applies(conv, keras.layers.Flatten(), dense(1), shape=(4, 4, 1))


def test_contradictions_and_weights_are_described():
    x = np.array([[0.0], [1.0], [0.0], [1.0]])
    facts = describe_data(take_sample(x, [0, 1, 0, 0]))
    assert facts.contradictions == 0.25
    assert facts.inputs[0].duplicates == 0.5
    assert not facts.is_weighted
    ones = describe_data(take_sample(x, [0, 1, 0, 0], np.ones(4)))
    assert not ones.is_weighted
    steps = describe_data(take_sample(x, [0, 1, 0, 0], np.array([[1.0, 0.0]] * 4)))
    assert steps.is_weighted
