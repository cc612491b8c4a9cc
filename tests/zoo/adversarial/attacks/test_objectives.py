import keras
import numpy as np
import pytest

from zoo.adversarial.attacks import objectives
from zoo.differentiation import input_gradient

ops = keras.ops


def to_numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


@pytest.fixture
def logits():
    return np.random.default_rng(0).normal(0, 2, (6, 5)).astype("float32")


LABELS = np.array([0, 1, 2, 3, 4, 0], "int32")


def gradient_of(function, logits):
    return to_numpy(input_gradient(function, logits)[1])


def test_cross_entropy_is_a_function_of_the_objective(logits):
    odds = to_numpy(objectives.cross_entropy(logits, LABELS))
    loss = to_numpy(
        keras.losses.sparse_categorical_crossentropy(LABELS, logits, from_logits=True)
    )
    np.testing.assert_allclose(np.log1p(np.exp(odds)), loss, rtol=1e-5)


def test_its_gradient_has_the_direction_of_that_of_cross_entropy(logits):
    found = gradient_of(lambda z: objectives.cross_entropy(z, LABELS), logits)
    plain = gradient_of(
        lambda z: keras.losses.sparse_categorical_crossentropy(
            LABELS, z, from_logits=True
        ),
        logits,
    )
    found, plain = (
        g / np.linalg.norm(g, axis=1, keepdims=True) for g in (found, plain)
    )
    np.testing.assert_allclose(found, plain, rtol=1e-4, atol=1e-6)


def test_it_does_not_vanish_where_that_of_cross_entropy_does():
    sure = np.array([[300.0, 0.0, -200.0]], "float32")
    label = np.array([0], "int32")
    plain = gradient_of(
        lambda z: keras.losses.sparse_categorical_crossentropy(
            label, z, from_logits=True
        ),
        sure,
    )
    assert not plain.any()
    found = gradient_of(lambda z: objectives.cross_entropy(z, label), sure)
    np.testing.assert_allclose(found, [[-1, 1, 0]])


def test_dlr(logits):
    ordered = -np.sort(-logits, axis=1)
    others = logits.copy()
    others[np.arange(6), LABELS] = -np.inf
    own = logits[np.arange(6), LABELS]
    expected = (others.max(axis=1) - own) / (ordered[:, 0] - ordered[:, 2])
    found = to_numpy(objectives.dlr(logits, LABELS))
    np.testing.assert_allclose(found, expected, rtol=1e-5)
    scaled = to_numpy(objectives.dlr(128 * logits, LABELS))
    np.testing.assert_allclose(scaled, found, rtol=1e-6)


def test_targeted_dlr(logits):
    targets = (LABELS + 2) % 5
    ordered = -np.sort(-logits, axis=1)
    rows = np.arange(6)
    expected = (logits[rows, targets] - logits[rows, LABELS]) / (
        ordered[:, 0] - (ordered[:, 2] + ordered[:, 3]) / 2
    )
    found = to_numpy(objectives.targeted_dlr(logits, LABELS, targets))
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_with_too_few_classes_they_are_margins():
    two = np.array([[1.0, 3.0]], "float32")
    three = np.array([[1.0, 3.0, 2.0]], "float32")
    label, target = np.array([0]), np.array([2])
    assert to_numpy(objectives.dlr(two, label)) == 2
    assert to_numpy(objectives.targeted_dlr(three, label, target)) == 1


def test_the_divergence(logits):
    clean = logits[::-1].copy()

    def probabilities(z):
        return np.exp(z) / np.exp(z).sum(axis=1, keepdims=True)

    p, q = probabilities(clean), probabilities(logits)
    expected = (p * np.log(p / q)).sum(axis=1)
    found = to_numpy(objectives.divergence(logits, clean))
    np.testing.assert_allclose(found, expected, rtol=1e-4)


def test_wrong_classes_by_likelihood(logits):
    ranked = [to_numpy(objectives.likely_others(logits, LABELS, r)) for r in range(4)]
    for row, label in enumerate(LABELS):
        order = [k for k in np.argsort(-logits[row]) if k != label]
        assert [int(classes[row]) for classes in ranked] == order
