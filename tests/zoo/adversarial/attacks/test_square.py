import keras
import numpy as np
import pytest

from zoo.adversarial import Attack, Square, evaluate_robustness
from zoo.adversarial.attacks.random_windows import Squares, Subsets, bump, shares

ops = keras.ops


def to_numpy(tensor):
    return np.asarray(ops.convert_to_numpy(tensor))


class StopsGradients(keras.layers.Layer):
    def call(self, x):
        return ops.stop_gradient(x)


def linear_images(channels=2):
    """A linear classifier of two classes of images, and its direction to class 1."""
    shape = (4, 4, channels)
    difference = np.random.default_rng(0).normal(size=shape).astype("float32")
    flat = difference.ravel()
    layers = [StopsGradients(), keras.layers.Flatten(), keras.layers.Dense(2)]
    model = keras.Sequential([keras.Input(shape), *layers])
    kernel = np.stack([-flat / 2, flat / 2], axis=1)
    model.set_weights([kernel, np.array([flat.sum() / 4, -flat.sum() / 4])])
    return model, difference


def size(norm, delta):
    delta = delta.reshape(len(delta), -1).astype("float64")
    return np.linalg.norm(delta, np.inf if norm == "linf" else 2, axis=1)


@pytest.mark.heavy
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_the_robust_accuracy_of_a_linear_model_without_gradients(norm):
    """An example falls if its distance in the dual norm is below epsilon."""
    model, difference = linear_images()
    x = np.random.default_rng(1).uniform(0.3, 0.7, (60, *difference.shape))
    x = x.astype("float32")
    scores = ((x - 0.5) * difference).sum(axis=(1, 2, 3))
    order = 1 if norm == "linf" else 2
    distance = np.abs(scores) / np.linalg.norm(difference.ravel(), order)
    epsilon = float(np.median(distance))
    found = Square(epsilon, norm=norm, steps=600)(model, x, (scores > 0).astype(int))
    broken = ((found - 0.5) * difference).sum(axis=(1, 2, 3)) * scores < 0
    assert not broken[distance > epsilon].any()
    # Under l2 it draws smooth bumps, which this noise is far from.
    assert broken[distance < (0.9 if norm == "linf" else 0.4) * epsilon].all()
    assert size(norm, found - x).max() <= epsilon * (1 + 1e-5)


@pytest.mark.heavy
@pytest.mark.parametrize("norm", ["linf", "l2"])
def test_vectors(norm, linear):
    model, difference = linear
    x = np.random.default_rng(0).uniform(0.3, 0.7, (40, 5)).astype("float32")
    scores = x @ difference
    order = 1 if norm == "linf" else 2
    distance = np.abs(scores) / np.linalg.norm(difference, order)
    epsilon = float(np.median(distance))
    found = Square(epsilon, norm=norm, steps=600)(model, x, (scores > 0).astype(int))
    broken = (found @ difference) * scores < 0
    assert not broken[distance > epsilon].any()
    assert broken[distance < 0.8 * epsilon].all()


@pytest.mark.heavy
@pytest.mark.parametrize("norm", [pytest.param("linf", marks=pytest.mark.heavy), "l2"])
def test_no_perturbation_leaves_the_ball_the_bounds_or_the_mask(norm):
    model, _ = linear_images()
    x = np.random.default_rng(2).uniform(-2, 3, (9, 4, 4, 2)).astype("float32")
    y = model.predict(x, verbose=0).argmax(axis=1)
    mask = np.arange(4)[:, None] < 2  # the left half of all rows
    attack = Square(0.7, norm=norm, steps=40, bounds=(-2, 3), mask=mask.T[..., None])
    found = attack(model, x, y)
    assert size(norm, found - x).max() <= 0.7 * (1 + 1e-5)
    assert found.min() >= -2
    assert found.max() <= 3
    np.testing.assert_array_equal(found[:, :, 2:], x[:, :, 2:])
    assert (found[:, :, :2] != x[:, :, :2]).any()


@pytest.mark.heavy
def test_the_batch_size_does_not_matter_and_the_seed_does(trained, digits):
    x, y = (part[:40] for part in digits[1])
    first, again, other = (
        Square(0.1, steps=50, seed=seed)(trained, x, y, batch_size=size)
        for seed, size in ((0, 40), (0, 7), (1, 40))
    )
    np.testing.assert_array_equal(first, again)
    assert (first != other).any()


@pytest.mark.heavy
def test_a_targeted_search_reaches_its_class(trained, digits):
    x, y = (part[:20] for part in digits[1])
    targets = (y + 1) % 10
    found = Square(0.5, steps=200, targeted=True)(trained, x, targets)
    reached = trained.predict(found, verbose=0).argmax(axis=1) == targets
    assert reached.mean() > 0.8


@pytest.mark.heavy
def test_training_mode_returns_the_best_point_of_its_steps(linear):
    model, difference = linear
    x = ops.convert_to_tensor(np.full((3, 5), 0.5, "float32"))
    attack = Square(0.2, steps=100)
    found = attack.perturb(
        lambda x: model(x, training=False),
        x,
        lambda logits: logits[:, 1] - logits[:, 0],
        noise=attack.noise_for_batch(x, 0),
    )
    expected = 0.5 + 0.2 * np.sign(difference)
    np.testing.assert_allclose(to_numpy(found), [expected] * 3, atol=1e-6)


def pyramid(rows, columns):
    """Nested rectangles around the middle, as the paper's figure 3 draws them."""
    result = np.zeros((rows, columns))
    for k in range(max(rows, columns) // 2 + 1):
        top, left = max(rows // 2 - k, 0), max(columns // 2 - k, 0)
        result[top : rows // 2 + k + 1, left : columns // 2 + k + 1] += 1 / (k + 1) ** 2
    return result / np.linalg.norm(result)


@pytest.mark.parametrize("side", [2, 3, 5, 8])
def test_the_bump_is_two_pyramids_of_opposite_signs(side):
    half = side // 2
    parts = [pyramid(half, side), -pyramid(side - half, side)]
    expected = np.concatenate(parts) / np.sqrt(2)
    np.testing.assert_allclose(bump(side, side), expected, atol=1e-12)


def test_the_schedule_of_ten_thousand_steps_is_that_of_the_paper():
    """Section 3.1: the share is halved at 10, 50, 200, 500, 1000, ... 8000."""
    share = shares(10_000)
    steps = np.flatnonzero(np.diff(share)) + 1
    np.testing.assert_array_equal(
        steps, [10, 50, 200, 500, 1000, 2000, 4000, 6000, 8000]
    )
    assert share[0] == 0.8
    assert share[-1] == 0.8 / 512


@pytest.mark.parametrize("windows", [Squares((6, 9, 3), 50), Subsets(12, 50)])
def test_windows_have_the_share_of_the_schedule(windows):
    generator = np.random.default_rng(0)
    steps = np.repeat(np.arange(50, dtype="int32"), 20)
    numbers = generator.random((1000, windows.step_size)).astype("float32")
    start = generator.random((1000, windows.start_size)).astype("float32")
    inside, other, signs, bumps = windows.draw(
        *(ops.convert_to_tensor(part) for part in (steps, numbers, start))
    )
    features = np.prod(windows.shape[:2])
    for window in (inside, other):
        share = to_numpy(window).reshape(1000, -1).sum(axis=1) / features
        expected = np.maximum(shares(50)[steps], 1 / features)
        np.testing.assert_allclose(share, expected, atol=0.12)
        covered = to_numpy(window).any(axis=0)
        assert covered.all()
    assert set(np.unique(to_numpy(signs))) == {-1.0, 1.0}
    assert not to_numpy(bumps)[~np.broadcast_to(to_numpy(inside), bumps.shape)].any()


def test_long_and_thin_inputs_have_windows_too():
    model = keras.Sequential([keras.Input((30, 1)), keras.layers.Flatten()])
    model.add(keras.layers.Dense(2))
    x = np.full((4, 30, 1), 0.5, "float32")
    y = model.predict(x, verbose=0).argmax(axis=1)
    found = Square(0.5, steps=30)(model, x, y)
    assert size("linf", found - x).max() == pytest.approx(0.5)


def test_it_is_made_again_from_its_config():
    attack = Square(0.1, norm="l2", steps=7, restarts=2, mask=[True, False], seed=3)
    again = Attack.from_config.__func__(Square, attack.get_config())
    assert repr(again) == repr(attack)
    restored = keras.saving.deserialize_keras_object(
        keras.saving.serialize_keras_object(attack)
    )
    assert restored.get_config() == attack.get_config()
    assert attack.with_epsilon(0.2).epsilon == 0.2


def test_a_wrong_argument():
    with pytest.raises(ValueError, match="`steps`. Expected an integer >= 1"):
        Square(0.1, steps=0)


@pytest.mark.heavy
def test_a_report_counts_what_it_breaks(trained, digits):
    hidden = keras.Sequential([keras.Input((64,)), StopsGradients(), trained])
    data = tuple(part[:60] for part in digits[1])
    quick = {"steps": 10, "restarts": 1, "verbose": 0}
    report = evaluate_robustness(hidden, data, (0.0, 0.05, 0.15), **quick)
    plain = evaluate_robustness(trained, data, (0.0, 0.05, 0.15), **quick)
    frame = report.to_frame()
    assert list(frame[frame["epsilon"] == 0.15]["stage"])[-1] == "square"
    assert "square" not in set(plain.to_frame()["stage"])
    for epsilon, accuracy in plain.robust_accuracy.items():
        assert report.robust_accuracy[epsilon] == pytest.approx(accuracy, abs=0.1)
    assert any("takes no gradients broke" in warning for warning in report.warnings)
