import keras
import numpy as np
import pytest

from zoo.losses import GaussianNLL

to_numpy = keras.ops.convert_to_numpy


def examples(*shape):
    generator = np.random.default_rng(0)
    y, mean, log_variance = generator.standard_normal((3, *shape)).astype("float32")
    return y, np.concatenate([mean, log_variance], axis=-1)


def density(y, prediction):
    mean, log_variance = np.split(prediction.astype("float64"), 2, axis=-1)
    variance = np.exp(log_variance)
    return np.exp(-((y - mean) ** 2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)


@pytest.mark.parametrize("shape", [(20, 1), (20, 3), (6, 4, 2)])
def test_it_is_the_negative_log_of_the_normal_density(shape):
    y, prediction = examples(*shape)
    losses = to_numpy(GaussianNLL(reduction=None)(y, prediction))
    expected = -np.log(density(y, prediction)).mean(axis=-1)
    np.testing.assert_allclose(losses, expected, rtol=1e-4, atol=1e-5)


@pytest.mark.heavy
def test_it_is_that_of_pytorch():
    torch = pytest.importorskip("torch", reason="compares with PyTorch")
    y, prediction = examples(20, 3)
    mean, log_variance = map(torch.tensor, np.split(prediction, 2, axis=-1))
    peer = torch.nn.GaussianNLLLoss(full=True)(
        mean, torch.tensor(y), torch.exp(log_variance)
    )
    assert float(GaussianNLL()(y, prediction)) == pytest.approx(float(peer), rel=1e-5)


def test_one_target_may_come_without_its_axis():
    y, prediction = examples(20, 1)
    expected = float(GaussianNLL()(y, prediction))
    assert float(GaussianNLL()(y[:, 0], prediction)) == expected


def test_it_is_least_at_the_variance_of_the_errors():
    y = np.array([[-2.0], [2.0]])  # of variance 4 around a mean of 0
    losses = {
        variance: float(GaussianNLL()(y, np.tile([[0.0, np.log(variance)]], (2, 1))))
        for variance in (1.0, 3.0, 4.0, 5.0, 16.0)
    }
    assert min(losses, key=losses.get) == 4.0
    assert losses[4.0] == pytest.approx((np.log(2 * np.pi * 4) + 1) / 2)


def test_extreme_log_variances_stay_finite():
    y, mean = np.array([[0.0], [1e3]]), np.zeros((2, 1))
    for log_variance in (-1e4, -60.0, 80.0, 1e4):
        prediction = np.hstack([mean, np.full((2, 1), log_variance)])
        assert np.isfinite(float(GaussianNLL()(y, prediction)))
    certain = float(GaussianNLL()(y[:1], np.array([[0.0, -1e4]])))
    assert certain == pytest.approx((np.log(2 * np.pi) - 60) / 2, rel=1e-5)


def test_reductions_and_sample_weights():
    y, prediction = examples(20, 3)
    losses, weights = -np.log(density(y, prediction)).mean(axis=-1), np.arange(20.0)
    for reduction, expected in {
        "sum": (losses * weights).sum(),
        "sum_over_batch_size": (losses * weights).mean(),
        "mean_with_sample_weight": (losses * weights).sum() / weights.sum(),
    }.items():
        loss = GaussianNLL(reduction=reduction)(y, prediction, sample_weight=weights)
        assert float(loss) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_is_computed_in_float32(dtype):
    y, prediction = examples(20, 3)
    prediction = keras.ops.cast(prediction, dtype)
    loss = GaussianNLL()(y, prediction)
    assert keras.backend.standardize_dtype(loss.dtype) == "float32"
    exact = to_numpy(keras.ops.cast(prediction, "float32"))
    expected = -np.log(density(y, exact)).mean()
    assert float(loss) == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("y", "prediction"),
    [((5, 2), (5, 2)), ((5, 2), (5, 3)), ((5, 1), (5, 4)), ((5,), (5, 4))],
)
def test_shapes_that_do_not_fit(y, prediction):
    with pytest.raises(ValueError, match="y_pred. Expected means and log-variances"):
        GaussianNLL()(np.ones(y), np.ones(prediction))


def test_a_bad_reduction():
    with pytest.raises(ValueError, match="`reduction`"):
        GaussianNLL(reduction="median")
