import keras
import numpy as np
import pandas as pd
import pytest
from sklearn.decomposition import PCA

from zoo import datasets, mlp
from zoo.layers import Whitening

to_numpy = keras.ops.convert_to_numpy
METHODS = ("pca", "zca")


def correlated(count=500, columns=4):
    generator = np.random.default_rng(0)
    mixing = generator.standard_normal((columns, columns))
    return generator.standard_normal((count, columns)) @ mixing + np.arange(columns)


def adapted(x, *arguments, **options):
    layer = Whitening(*arguments, **options)
    layer.adapt(x)
    return layer


def whiten(x, *arguments, **options):
    return to_numpy(adapted(x, *arguments, **options)(x)).astype("float64")


def covariance(x):
    return np.cov(x, rowvar=False, bias=True)


@pytest.mark.parametrize("method", METHODS)
def test_columns_have_mean_zero_variance_one_and_no_correlation(method):
    white = whiten(correlated(), method, epsilon=0.0)
    np.testing.assert_allclose(white.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(covariance(white), np.eye(4), atol=1e-4)


def test_pca_is_that_of_scikit_learn():
    x = correlated()
    peer = PCA(whiten=True).fit_transform(x) * np.sqrt(500 / 499)  # it divides by n - 1
    white = whiten(x, "pca", epsilon=0.0)
    signs = np.sign((white * peer).sum(axis=0))  # of eigenvectors are free
    np.testing.assert_allclose(white, peer * signs, rtol=1e-3, atol=1e-4)


def test_zca_is_the_inverse_root_of_the_covariance():
    x = correlated()
    matrix = to_numpy(adapted(x, epsilon=0.0).matrix)
    np.testing.assert_allclose(matrix, matrix.T, atol=1e-6)
    np.testing.assert_allclose(
        np.linalg.inv(matrix @ matrix), covariance(x), rtol=1e-3, atol=1e-3
    )


@pytest.mark.parametrize("method", METHODS)
def test_epsilon_damps_directions_of_little_variance(method):
    x = correlated()
    variances = np.linalg.eigvalsh(covariance(x))
    damped = np.linalg.eigvalsh(covariance(whiten(x, method, epsilon=0.5)))
    np.testing.assert_allclose(damped, variances / (variances + 0.5), rtol=1e-3)


@pytest.mark.parametrize("epsilon", [0.0, 1e-5])
@pytest.mark.parametrize("method", METHODS)
def test_directions_that_do_not_vary_keep_scale_one(method, epsilon):
    x = correlated(columns=3)
    x = np.column_stack([x, np.full(500, 7.0), x[:, 0] - x[:, 1]]).astype("float32")
    layer = adapted(x, method, epsilon=epsilon)
    eigenvalues = np.linalg.eigvalsh(covariance(to_numpy(layer(x))))
    np.testing.assert_allclose(eigenvalues, [0, 0, 1, 1, 1], atol=1e-3)
    other = x[:1] + np.array([[0, 0, 0, 1, 0]], "float32")  # a value never seen
    moved = to_numpy(layer(other)) - to_numpy(layer(x[:1]))
    assert np.linalg.norm(moved) == pytest.approx(1, rel=1e-3)


@pytest.mark.parametrize("method", METHODS)
def test_columns_of_very_different_scale_are_all_whitened(method):
    x = correlated(columns=2) * np.array([1e6, 0.1])
    white = whiten(x, method, epsilon=0.0)
    np.testing.assert_allclose(covariance(white), np.eye(2), atol=2e-2)


def test_a_data_frame():
    x = correlated()
    frame = pd.DataFrame(x, columns=list("abcd"))
    layer = Whitening()
    layer.adapt(frame)
    np.testing.assert_array_equal(to_numpy(layer(x)), to_numpy(adapted(x)(x)))


def test_one_row_and_a_constant_table():
    for x in (np.ones((1, 3)), np.ones((9, 3))):
        np.testing.assert_array_equal(whiten(x), np.zeros_like(x))


def test_sums_are_kept_in_float64():
    x = (correlated() + 5e3).astype("float32")
    np.testing.assert_allclose(covariance(whiten(x, "pca")), np.eye(4), atol=0.01)


def test_batches_are_as_good_as_the_whole():
    x = correlated().astype("float32")
    data = datasets.from_arrays((x, np.zeros(500, int)), validation=0, batch_size=64)
    whole, parts = adapted(x), adapted(data.train)
    tensors = adapted([keras.ops.convert_to_tensor(part) for part in np.split(x, 5)])
    for layer in (parts, tensors, adapted(keras.ops.convert_to_tensor(x))):
        for name in ("mean", "matrix"):
            one, other = to_numpy(getattr(whole, name)), to_numpy(getattr(layer, name))
            np.testing.assert_allclose(one, other, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_computes_in_float32(dtype):
    x = correlated() + 1e5  # more than float16 holds
    expected = whiten(x)
    y = adapted(x, dtype=dtype)(x)
    assert keras.backend.standardize_dtype(y.dtype) == dtype.removeprefix("mixed_")
    y = to_numpy(keras.ops.cast(y, "float32"))
    np.testing.assert_allclose(y, expected, rtol=0.02, atol=0.02)


@pytest.mark.heavy
def test_a_model_trains_behind_it(jit_compile):
    x = correlated()
    model = mlp((4,), 1, units=(8,), preprocessing=adapted(x))
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit_compile)
    before = to_numpy(model.layers[1].matrix)
    losses = model.fit(x, x[:, :1], epochs=10, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]
    np.testing.assert_array_equal(to_numpy(model.layers[1].matrix), before)
    assert model.count_params() - (4 * 8 + 8 + 8 + 1) == 4 + 4 * 4


def test_a_clone_with_the_weights_and_loaded_weights_whiten(tmp_path):
    x = correlated()
    inputs = keras.Input((4,))
    model = keras.Model(inputs, adapted(x)(inputs))
    clone = keras.models.clone_model(model)
    clone.set_weights(model.get_weights())
    np.testing.assert_array_equal(to_numpy(clone(x)), to_numpy(model(x)))
    model.save_weights(tmp_path / "a.weights.h5")
    fresh = keras.Model(inputs, Whitening()(inputs))
    fresh.load_weights(tmp_path / "a.weights.h5")
    np.testing.assert_array_equal(to_numpy(fresh(x)), to_numpy(model(x)))


def test_it_cannot_be_called_before_it_is_adapted():
    layer = Whitening()
    with pytest.raises(ValueError, match="Expected `adapt.data.` before the first"):
        layer(np.ones((2, 3), "float32"))
    model = mlp((3,), 2, preprocessing=Whitening())
    with pytest.raises(ValueError, match="Expected `adapt.data.` before the first"):
        model.predict(np.ones((2, 3)), verbose=0)


def test_images_are_refused():
    images = np.ones((5, 8, 8, 1), "float32")
    for use in (Whitening().adapt, Whitening(), lambda _: Whitening().build((8, 8, 1))):
        with pytest.raises(ValueError, match="Expected a table.*\n.*normalization"):
            use(images)
    with pytest.raises(ValueError, match="Expected a table"):
        mlp((8, 8, 1), 2, preprocessing=Whitening())


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (np.ones((0, 3)), "empty table. Expected at least one row"),
        ([], "empty table. Expected at least one row"),
        (np.array([[1.0, np.nan]]), "Expected finite numbers"),
        (np.ones(3), "Expected a table"),
        (None, "`data`. Expected an array or data frame"),
        ("table.csv", "`data`. Expected an array or data frame"),
    ],
)
def test_bad_data(data, message):
    with pytest.raises(ValueError, match=message):
        Whitening().adapt(data)


def test_another_width_than_before():
    layer = adapted(correlated())
    with pytest.raises(ValueError, match="`data`. Expected a table of 4 columns"):
        layer.adapt(correlated(columns=3))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"method": "ica"}, "`method`. Expected one of 'pca', 'zca'"),
        ({"epsilon": -1}, "`epsilon`. Expected a number >= 0"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Whitening(**arguments)


def test_masked_entries_are_no_data():
    masked = np.ma.masked_less(np.arange(12.0).reshape(6, 2), 1)
    with pytest.raises(ValueError, match="masked entries first in row 0"):
        Whitening().adapt(masked)
