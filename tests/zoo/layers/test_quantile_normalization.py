import keras
import numpy as np
import pytest
from scipy.special import ndtri
from scipy.stats import rankdata
from sklearn.preprocessing import QuantileTransformer

from zoo import datasets, mlp
from zoo.layers import QuantileNormalization

to_numpy = keras.ops.convert_to_numpy


def skewed(count=700):
    """Returns columns that are skewed, rounded, rarely 1 and constant."""
    generator = np.random.default_rng(0)
    x = np.exp(generator.normal(size=(count, 4)))
    x[:, 1] = x[:, 1].round()
    x[:, 2] = generator.random(count) < 0.01
    x[:, 3] = 5
    return x.astype("float32")


def adapted(x, *arguments, **options):
    layer = QuantileNormalization(*arguments, **options)
    layer.adapt(x)
    return layer


def test_outputs_are_the_normal_scores_of_the_ranks():
    x = skewed()
    scores = ndtri((rankdata(x, axis=0) - 0.5) / len(x))
    np.testing.assert_allclose(to_numpy(adapted(x)(x)), scores, atol=1e-5)


def test_it_is_the_peer_of_scikit_learn_between_the_extremes():
    x = np.random.default_rng(0).gamma(2, size=(5000, 1)).astype("float32")
    other = np.random.default_rng(1).gamma(2, size=(5000, 1)).astype("float32")
    peer = QuantileTransformer(
        n_quantiles=1000, output_distribution="normal", subsample=None
    ).fit(x)
    expected = peer.transform(other)
    inner = np.abs(expected) < 2.5
    received = to_numpy(adapted(x)(other))
    np.testing.assert_allclose(received[inner], expected[inner], atol=0.02)


def test_few_quantiles_keep_the_extremes_and_interpolate_between():
    x = np.arange(1000.0)[:, None]
    layer = adapted(x, num_quantiles=5)
    expected = ndtri((np.array([0, 249.75, 500, 750, 999]) + 0.5) / 1000)
    received = to_numpy(layer(np.array([[0], [250], [500], [750], [999]]))).ravel()
    np.testing.assert_allclose(received, expected, atol=5e-3)
    (between,) = to_numpy(layer(np.array([[625.0]]))).ravel()
    assert between == pytest.approx((received[2] + received[3]) / 2, abs=5e-3)


def test_new_values_are_between_or_at_the_ends_and_nan_stays():
    layer = adapted(skewed())
    x = np.array([[-np.inf, 1e30, 0.5, 4], [np.nan, -1, -1, np.inf]], "float32")
    (low, high, middle, constant), (missing, *_, last) = to_numpy(layer(x))
    assert low == pytest.approx(ndtri(0.5 / 700), abs=1e-5)
    assert 2 < high < ndtri(1 - 0.5 / 700) + 1e-5
    zero, one = to_numpy(layer(np.array([[1, 1, 0, 5], [1, 1, 1, 5]], "float32")))[:, 2]
    assert middle == pytest.approx((zero + one) / 2, abs=1e-6)
    assert np.isnan(missing)
    assert constant == last == 0


def test_some_columns_pass_through():
    x = skewed()
    layer = adapted(x, passthrough=[2, 0])
    new = 3 * x + 1
    expected = to_numpy(adapted(x)(new))
    expected[:, [0, 2]] = new[:, [0, 2]]
    again = QuantileNormalization.from_config(layer.get_config())
    again.build(x.shape)
    again.set_weights(layer.get_weights())
    for each in (layer, again):
        np.testing.assert_array_equal(to_numpy(each(new)), expected)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_computes_in_float32(dtype):
    x = skewed() + np.float32(2048)  # neighbors in half precision differ by 2
    y = adapted(x, dtype=dtype)(x)
    assert keras.backend.standardize_dtype(y.dtype) == dtype.removeprefix("mixed_")
    y = to_numpy(keras.ops.cast(y, "float32"))
    np.testing.assert_allclose(y, to_numpy(adapted(x)(x)), atol=0.02)


def test_data_adapt_it_to_the_train_split(tmp_path):
    x = skewed()
    data = datasets.from_arrays((x, x[:, :1]), validation=0.5)
    layer = data.normalization("quantile")
    np.testing.assert_array_equal(to_numpy(layer(x)), to_numpy(adapted(x[:350])(x)))
    model = mlp((4,), 1, units=(3,), preprocessing=layer)
    model.save(tmp_path / "model.keras")
    loaded = keras.saving.load_model(tmp_path / "model.keras")
    np.testing.assert_array_equal(to_numpy(loaded(x)), to_numpy(model(x)))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(to_numpy(clone(x)), to_numpy(model(x)))


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda: QuantileNormalization(1), "`num_quantiles`. Expected an integer >= 2"),
        (
            lambda: QuantileNormalization(passthrough=["town"]),
            "`passthrough`. Expected an integer >= 0. Received: passthrough='town'",
        ),
        (
            lambda: QuantileNormalization(passthrough=2),
            "`passthrough`. Expected a list of column indices",
        ),
        (
            lambda: adapted(np.ones((5, 3)), passthrough=[3]),
            "`passthrough`. Expected indices < 3, the number of columns",
        ),
        (lambda: adapted(np.ones((5, 8, 8, 1))), "Expected a table.*\n.*normalization"),
        (lambda: adapted(np.ones((0, 3))), "empty table. Expected at least one row"),
        (lambda: adapted(np.array([[np.nan]])), "Expected finite numbers"),
        (
            lambda: adapted([np.ones((5, 2)), np.ones((5, 3))]),
            "`data`. Expected batches with the same number of columns",
        ),
        (
            lambda: adapted(np.ones((5, 2))).adapt(np.ones((5, 3))),
            "`data`. Expected a table of 2 columns",
        ),
        (
            lambda: QuantileNormalization()(np.ones((2, 3))),
            "Expected `adapt.data.` before the first",
        ),
        (
            lambda: datasets.load("digits").normalization("quantile"),
            "Expected a table.*\n.*normalization",
        ),
        (
            lambda: datasets.load("digits").normalization("quantiles"),
            "`method`. Expected one of 'standard', 'quantile'",
        ),
    ],
)
def test_errors(use, message):
    with pytest.raises(ValueError, match=message):
        use()
