import keras
import numpy as np
import pytest
from keras import ops

from zoo.adversarial import PGD, evaluate_robustness
from zoo.adversarial.attacks.run_attack import run_attack
from zoo.adversarial.attacks.smoothed import DIRECTIONS, Smoothed
from zoo.adversarial.classifier.classifier import Classifier
from zoo.adversarial.evaluation.gradient_checks import is_random

QUICK = {"steps": 10, "restarts": 1, "verbose": 0}
EPSILON = 0.1


class Rounds(keras.layers.Layer):
    """In sixteenths: what the digits are given in, so that they stay as they are."""

    def call(self, x):
        return ops.round(16 * x) / 16


class Shatters(keras.layers.Layer):
    def call(self, x):
        return x + 0.002 * ops.sin(30_000 * x)


class AddsNoise(keras.layers.Layer):
    def __init__(self, size):
        super().__init__()
        self.size = size
        self.generator = keras.random.SeedGenerator(0)

    def call(self, x):
        noise = keras.random.normal(ops.shape(x), seed=self.generator)
        return x + self.size * noise


def behind(layer, model):
    return keras.Sequential([keras.Input((64,)), layer, model])


def is_right(model, x, y):
    return np.asarray(ops.convert_to_numpy(model(x))).argmax(axis=1) == y


def size(norm, delta):
    order = np.inf if norm == "linf" else 2
    return np.linalg.norm(delta.astype("float64"), order, axis=1)


@pytest.fixture(scope="module")
def sample(digits):
    return tuple(part[:60] for part in digits[1])


@pytest.fixture(scope="module")
def known(trained, sample):
    """Adversarial examples of the model that the others hide."""
    return PGD(EPSILON, steps=40)(trained, *sample)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_on_a_linear_model_it_finds_the_end_of_the_gradient(norm, linear):
    model, difference = linear
    x = np.full((4, 5), 0.5, "float32")
    attack = Smoothed(0.1, norm=norm, steps=20, restarts=3)
    found = attack(model, x, np.zeros(4, int)) - x
    # At 0.5 both logits are known: the decision boundary is out of reach.
    score = difference.sum() / 2
    assert score < 0
    expected = np.sign(difference) if norm == "linf" else difference
    expected = expected / size(norm, expected[None])
    np.testing.assert_allclose(found, [0.1 * expected] * 4, atol=2e-3)


@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_no_perturbation_leaves_the_ball_the_bounds_or_the_mask(norm, trained, sample):
    x, y = sample
    mask = np.arange(64) % 3 > 0
    model = behind(Rounds(), trained)
    found = Smoothed(0.3, norm=norm, steps=10, restarts=2, mask=mask)(model, x, y)
    assert size(norm, found - x).max() <= 0.3 * (1 + 1e-5)
    assert found.min() >= 0
    assert found.max() <= 1
    np.testing.assert_array_equal(found[:, ~mask], x[:, ~mask])
    assert (found[:, mask] != x[:, mask]).any()


@pytest.mark.heavy
@pytest.mark.parametrize("layer", [Rounds, Shatters])
def test_what_hides_gradients_falls_nearly_as_the_model_behind_it(
    layer, trained, digits
):
    x, y = (part[:200] for part in digits[1])
    model = behind(layer(), trained)
    assert is_right(model, x, y).mean() > 0.9
    known = PGD(EPSILON, steps=40)(trained, x, y)
    bound = is_right(model, known, y).mean()
    plain = is_right(model, PGD(EPSILON, steps=40)(model, x, y), y).mean()
    found = Smoothed(EPSILON, steps=40, restarts=3)(model, x, y)
    assert plain > 0.85
    assert is_right(model, found, y).mean() <= bound + 0.12


@pytest.mark.heavy
def test_averages_of_a_random_model_transfer_to_other_draws(trained, sample, known):
    x, y = sample
    model = behind(AddsNoise(0.25), trained)

    def accuracy(points):
        return np.mean([is_right(model, points, y) for _ in range(30)])

    target = Classifier(model)
    x, y = target.check_data(x, y, (0, 1))
    attack = Smoothed(EPSILON, steps=40, restarts=3, random=True)
    found = run_attack(attack, target, x, y).adversarial
    single = run_attack(PGD(EPSILON, steps=40), target, x, y).adversarial
    assert accuracy(found) < accuracy(single)
    assert accuracy(found) <= accuracy(known) + 0.05


@pytest.mark.heavy
def test_the_batch_size_does_not_matter_and_the_seed_does(trained, sample):
    model = behind(Rounds(), trained)
    first, again, other = (
        Smoothed(EPSILON, steps=5, restarts=1, seed=seed)(
            model, *sample, batch_size=size
        )
        for seed, size in ((0, 2000), (0, 150), (1, 2000))
    )
    np.testing.assert_allclose(first, again, atol=1e-6)
    assert (first != other).any()


def test_directions_of_any_two_steps_are_uncorrelated():
    attack = Smoothed(1.0, steps=30)
    noise = attack.noise((4000,), np.zeros(1, int), np.zeros(1, int))
    points = ops.zeros((1, 4000))
    noise = ops.convert_to_tensor(noise[:, 4000:])
    settings = attack.settings()
    moves = np.concatenate(
        [
            ops.convert_to_numpy(attack._moves(points, noise, step, settings))[0]
            for step in range(30)
        ]
    )
    assert moves.shape == (30 * DIRECTIONS, 4000)
    assert set(np.unique(moves)) == {-1.0, 1.0}
    correlation = moves @ moves.T / 4000
    np.testing.assert_allclose(correlation, np.eye(len(moves)), atol=0.1)


@pytest.mark.heavy
def test_a_report_counts_it_where_a_check_has_spoken(trained, sample, known):
    model = behind(Rounds(), trained)
    report = evaluate_robustness(model, sample, (0.0, EPSILON), **QUICK)
    frame = report.to_frame()
    stages = list(frame[frame["epsilon"] == EPSILON]["stage"])
    assert stages[stages.index("apgd_targeted") + 1] == "smoothed"
    smoothed = frame[(frame["stage"] == "smoothed") & (frame["epsilon"] == EPSILON)]
    assert smoothed["broken"].item() > 0
    bound = is_right(model, known, sample[1]).mean()
    assert report.robust_accuracy[EPSILON] <= bound + 0.03
    assert any("exactly zero" in warning for warning in report.warnings)


def most_frequent(model, x, draws=300):
    """Returns the class that most draws predict, and the share of draws that do."""
    outputs = [np.asarray(ops.convert_to_numpy(model(x))) for _ in range(draws)]
    shares = np.mean([np.eye(10)[one.argmax(axis=1)] for one in outputs], axis=0)
    return shares.argmax(axis=1), np.sort(shares, axis=1)[:, -1]


@pytest.mark.slow
def test_what_most_draws_of_a_random_model_misclassify_is_broken(trained, sample):
    """With noise and without a perturbation most draws are right."""
    model = behind(AddsNoise(0.4), trained)
    report = evaluate_robustness(model, sample, 1e-4, **QUICK)
    votes = np.mean([is_right(model, *sample) for _ in range(50)], axis=0)
    assert votes.mean() < 0.85  # one draw after another breaks many
    assert report.robust_accuracy[1e-4] >= (votes > 0.6).mean() - 0.05
    expected = (most_frequent(model, sample[0])[0] == sample[1]).mean()
    assert report.clean_accuracy == pytest.approx(expected, abs=0.05)
    assert any("the model is random" in warning for warning in report.warnings)


@pytest.mark.parametrize(("size", "expected"), [(0.1, True), (0.0, False)])
def test_outputs_that_are_not_finite_do_not_hide_that_a_model_is_random(size, expected):
    broken = keras.layers.Lambda(lambda x: ops.where(x < 0.5, float("nan"), x))
    model = keras.Sequential([keras.Input((2,)), broken, AddsNoise(size)])
    assert is_random(Classifier(model), np.float32([[0, 1], [1, 0.7]])) == expected


class MonteCarloDropout(keras.layers.Dropout):
    def call(self, x, training=None):
        return super().call(x, training=True)


@pytest.mark.slow
def test_of_a_healthy_random_model_only_that_is_said(digits, sample):
    layers = [keras.layers.Dense(96, "relu"), MonteCarloDropout(0.3)]
    model = keras.Sequential([keras.Input((64,)), *layers, keras.layers.Dense(10)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(3e-3), loss)
    model.fit(*digits[0], epochs=12, batch_size=64, verbose=0)
    mean = keras.Sequential([keras.Input((64,)), layers[0], model.layers[-1]])
    report = evaluate_robustness(model, sample, (0.01, EPSILON), **QUICK)
    (warning,) = report.warnings
    assert "the model is random" in warning
    expected = (most_frequent(model, sample[0])[0] == sample[1]).mean()
    assert report.clean_accuracy == pytest.approx(expected, abs=0.04)
    assert report.robust_accuracy[0.01] > expected - 0.15
    points = PGD(EPSILON, steps=40)(mean, *sample)
    bound = (most_frequent(model, points)[0] == sample[1]).mean()
    assert report.robust_accuracy[EPSILON] <= bound + 0.03


@pytest.mark.slow
def test_what_a_larger_epsilon_broke_before_stays_broken(trained, sample):
    """A later stage attacks it again with a smaller epsilon, which is not enough."""
    report = evaluate_robustness(
        behind(Rounds(), trained), sample, (0.04, EPSILON), **QUICK
    )
    frame = report.to_frame()
    assert frame[frame["stage"] == "smoothed"]["attacked"].iloc[0] > 0
    assert (report.examples["fooled"] != report.examples["label"]).all()
    assert not any("reproducible" in warning for warning in report.warnings)
