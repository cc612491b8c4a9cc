import keras
import numpy as np
import pytest

from zoo.layers import LogMeanProbability


def to_numpy(tensor):
    return np.array(keras.ops.convert_to_numpy(tensor))


def logits(*shape, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype("float32")


def softmax(x):
    return np.exp(x) / np.exp(x).sum(axis=-1, keepdims=True)


@pytest.mark.parametrize("shape", [(4, 3), (2, 5, 3)])
def test_softmax_gives_the_mean_probability(shape):
    members = [logits(*shape, seed=seed) for seed in range(3)]
    result = to_numpy(LogMeanProbability()(members))
    expected = np.log(np.mean([softmax(member) for member in members], axis=0))
    np.testing.assert_allclose(result, expected, rtol=1e-5, atol=1e-6)


def test_sigmoid_gives_the_log_odds_of_the_mean_probability():
    members = [logits(4, 3, seed=seed) for seed in range(3)]
    result = to_numpy(LogMeanProbability("sigmoid")(members))
    mean = np.mean([1 / (1 + np.exp(-member)) for member in members], axis=0)
    np.testing.assert_allclose(result, np.log(mean / (1 - mean)), rtol=1e-4, atol=1e-5)


def test_nothing_overflows():
    sure = [np.array([[1000.0, 0.0]], "float32"), np.array([[-1000.0, 0.0]], "float32")]
    half = -np.log(2)
    np.testing.assert_allclose(
        to_numpy(LogMeanProbability()(sure)), [[half, half]], atol=1e-6
    )
    np.testing.assert_allclose(
        to_numpy(LogMeanProbability("sigmoid")(sure)), [[0.0, 0.0]], atol=1e-6
    )
    same = to_numpy(LogMeanProbability("sigmoid")([sure[0], sure[0]]))
    np.testing.assert_allclose(same, sure[0], atol=1e-6)


def test_its_shape_and_config():
    layer = LogMeanProbability("sigmoid", name="mean")
    assert layer.compute_output_shape([(None, 7), (None, 7)]) == (None, 7)
    copy = LogMeanProbability.from_config(layer.get_config())
    assert (copy.activation, copy.name) == ("sigmoid", "mean")


def test_bad_arguments():
    with pytest.raises(ValueError, match="`activation`. Expected one of 'softmax', 's"):
        LogMeanProbability("relu")
    with pytest.raises(ValueError, match="`inputs`. Expected a list of tensors"):
        LogMeanProbability()(logits(2, 3))
