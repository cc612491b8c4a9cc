"""The l1 ball: projections, random points, and the attacks in it."""

import keras
import numpy as np
import pytest
from keras import ops
from scipy.optimize import minimize

from zoo import mlp
from zoo.adversarial import APGD, FGSM, PGD, AdversarialTrainer, Square, certify, norms
from zoo.adversarial.attacks.run_attack import run_attack
from zoo.adversarial.classifier.classifier import Classifier

CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def test_projections_are_the_nearest_points():
    generator = np.random.default_rng(0)
    center = generator.uniform(0, 1, (12, 4)).astype("float32")
    x = center + generator.normal(size=center.shape).astype("float32")
    found = ops.convert_to_numpy(
        norms.project("l1", *map(ops.convert_to_tensor, (x, center)), 0.7, 0.0, 1.0)
    )
    for row, middle, point in zip(x, center, found, strict=True):
        # Positive and negative parts make the constraint smooth.
        lowest, highest = -middle, 1 - middle
        best = minimize(
            lambda parts, row=row, middle=middle: (
                (middle + parts[:4] - parts[4:] - row) ** 2
            ).sum(),
            np.zeros(8),
            method="SLSQP",
            bounds=[(0, high) for high in highest] + [(0, -low) for low in lowest],
            constraints={"type": "ineq", "fun": lambda parts: 0.7 - parts.sum()},
            options={"ftol": 1e-12},
        )
        exact = middle + best.x[:4] - best.x[4:]
        np.testing.assert_allclose(point, exact, atol=1e-4)
    inside = center + 0.1 * (0.5 - center)
    pair = map(ops.convert_to_tensor, (inside, center))
    kept = norms.project("l1", *pair, 0.7, 0.0, 1.0)
    np.testing.assert_allclose(ops.convert_to_numpy(kept), inside, atol=1e-6)


def test_random_points_are_uniform_in_the_ball():
    rows = np.arange(20_000)
    noise = norms.draw_for_examples("l1", (3,), 0, np.zeros_like(rows), rows)
    like = np.zeros((len(rows), 3), "float32")
    points = ops.convert_to_numpy(norms.unit_ball("l1", noise, like))
    sizes = np.abs(points).sum(axis=1)
    assert sizes.max() <= 1 + 1e-6
    # The volume of a ball grows with the third power of its radius.
    for radius in (0.5, 0.8, 0.9):
        assert (sizes < radius).mean() == pytest.approx(radius**3, abs=0.012)
    assert np.abs(points.mean(axis=0)).max() < 0.01
    corner = norms.unit_ball("l1", norms.center("l1", (3,), 2), like[:2])
    assert (ops.convert_to_numpy(corner) == 0).all()


@pytest.mark.parametrize("kind", [PGD, APGD])
def test_the_worst_point_of_a_linear_model_is_found(linear, kind):
    model, difference = linear
    x = np.full((1, 5), 0.5, "float32")
    model.layers[-1].bias.assign([9.0, 0.0])  # class 0, whatever the attack does
    score = float(x[0] @ difference)
    # The second feature has the largest weight, and may move down by 0.5 only.
    attack = kind(0.7, norm="l1", steps=60)
    found = attack(model, x, np.array([0]))[0]
    change = 0.5 * 2.0 + 0.2 * 1.0
    assert float(found @ difference) == pytest.approx(score + change, abs=0.02)
    assert np.abs(found - x[0]).sum() <= 0.7 + 1e-5


@pytest.mark.heavy
def test_masked_features_stay_to_the_last_bit(trained, digits):
    x, y = (part[:40] for part in digits[1])
    mask = np.arange(64) % 2 == 0
    for kind in (PGD, APGD):
        found = kind(1.0, norm="l1", steps=10, mask=mask)(trained, x, y)
        np.testing.assert_array_equal(found[:, ~mask], x[:, ~mask])
        assert (found[:, mask] != x[:, mask]).any()


@pytest.mark.heavy
def test_certificates_withstand_l1_attacks(trained, digits):
    x, y = (part[:150] for part in digits[1])
    report = certify(trained, (x, y), 0.4, "l1", verbose=0)
    certified = report.certified[0.4]
    assert 0.3 < certified.mean() < report.clean_accuracy
    classifier = Classifier(trained)
    x, y = classifier.check_data(x, y, (0, 1))
    broken = np.zeros(len(x), bool)
    for attack in (PGD(0.4, norm="l1"), APGD(0.4, norm="l1", loss="dlr", steps=50)):
        results = run_attack(attack, classifier, x, y)
        sizes = norms.sizes("l1", results.adversarial, x)
        assert sizes.max() < 0.4 + 1e-5
        assert results.adversarial.min() >= 0
        broken |= results.broken
    assert not (broken & certified).any()
    larger = run_attack(PGD(2.0, norm="l1"), classifier, x, y)
    assert larger.broken.mean() > broken.mean() + 0.2


@pytest.mark.heavy
def test_adversarial_training_in_l1():
    model = mlp((5,), 2, units=(8,))
    trainer = AdversarialTrainer(model, PGD(0.2, norm="l1", steps=3))
    trainer.compile("adam", CROSS_ENTROPY, metrics=["accuracy"])
    x = np.random.default_rng(0).random((32, 5)).astype("float32")
    y = (x[:, 0] > 0.5).astype(int)
    history = trainer.fit(x, y, epochs=2, verbose=0).history
    assert np.isfinite(history["robust_loss"]).all()
    assert history["robust_accuracy"][-1] <= history["accuracy"][-1]


def test_a_single_step_changes_the_feature_with_the_largest_gradient(linear):
    model, _ = linear
    found = FGSM(0.25, norm="l1")(model, np.full((1, 5), 0.5), np.array([0]))
    np.testing.assert_allclose(found, [[0.5, 0.25, 0.5, 0.5, 0.5]])


def test_attacks_that_have_no_l1_say_so():
    with pytest.raises(ValueError, match="`norm`. Expected one of 'linf', 'l2'"):
        Square(0.1, norm="l1")
    with pytest.raises(ValueError, match="`epsilon`"):
        PGD(6.0, norm="l1").check_shape((5,))
