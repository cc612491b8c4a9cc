"""Losses of constant predictors, compared with Keras' losses of these constants."""

import keras
import numpy as np
import pytest

from callbacks.diagnosis.data.data_facts import describe_data
from callbacks.diagnosis.data.sample_data import Sample
from callbacks.diagnosis.reading.loss_facts import LossFacts
from callbacks.diagnosis.run.trivial import constant_loss, uniform_loss

IDS = np.array([0, 0, 0, 1, 2, 2, 1, 0])
SHARES = np.array([0.5, 0.25, 0.25])


def target_of(y, weights=None):
    sample = Sample(np.zeros((len(y), 1)), np.asarray(y, "float32"), weights)
    return describe_data(sample).targets[0]


def loss_of(name, y, constant, weights=None, **options):
    predicted = np.broadcast_to(constant, (len(y), np.size(constant))).astype("float32")
    loss = getattr(keras.losses, name)(**options)
    return float(loss(np.asarray(y, "float32"), predicted, sample_weight=weights))


@pytest.mark.parametrize(
    ("name", "kind", "y", "constant", "options"),
    [
        ("SparseCategoricalCrossentropy", "", IDS, SHARES, {}),
        ("CategoricalCrossentropy", "", np.eye(3)[IDS], SHARES, {}),
        (
            *("CategoricalCrossentropy", "", np.eye(3)[IDS], 0.8 * SHARES + 0.2 / 3),
            {"label_smoothing": 0.2},
        ),
        ("BinaryCrossentropy", "", IDS[:, None] == 0, [0.5], {}),
        ("MeanSquaredError", "", IDS[:, None], [IDS.mean()], {}),
        ("MeanAbsoluteError", "", IDS[:, None], [np.median(IDS)], {}),
    ],
)
def test_constant_losses(name, kind, y, constant, options):
    snake = "".join(f"_{c.lower()}" if c.isupper() else c for c in name)[1:]
    facts = LossFacts(snake, label_smoothing=options.get("label_smoothing", 0.0))
    expected = loss_of(name, y, constant, **options)
    assert constant_loss(facts, target_of(y)) == pytest.approx(expected, rel=1e-5)


def test_weights_change_the_best_constant():
    weights = np.array([1.0, 1, 1, 2, 4, 4, 2, 1])
    shares = np.array([4, 4, 8]) / 16
    name = "SparseCategoricalCrossentropy"
    expected = loss_of(name, IDS, shares, weights)
    found = constant_loss(
        LossFacts("sparse_categorical_crossentropy"), target_of(IDS, weights)
    )
    assert found == pytest.approx(expected, rel=1e-5)


def test_unknown_losses_have_no_constant():
    assert constant_loss(LossFacts(None), target_of(IDS)) is None
    assert constant_loss(LossFacts("hinge"), target_of(IDS)) is None


def test_equal_probabilities():
    sparse = LossFacts("sparse_categorical_crossentropy")
    assert uniform_loss(sparse, 10) == pytest.approx(np.log(10))
    binary = LossFacts("binary_crossentropy")
    assert uniform_loss(binary, 1) == pytest.approx(np.log(2))
    assert uniform_loss(LossFacts("mean_squared_error"), 1) is None
