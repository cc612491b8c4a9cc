import keras
import numpy as np
import pytest

from zoo.layers import DropConnect

to_numpy = keras.ops.convert_to_numpy


def standard_normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def test_single_weights_are_dropped_and_the_rest_is_scaled():
    layer = DropConnect(200, rate=0.25, bias_initializer="ones")
    x = np.eye(100, dtype="float32")  # what comes out is the kernel, plus the bias
    factors = (to_numpy(layer(x, training=True)) - 1) / to_numpy(layer.kernel)
    dropped = np.isclose(factors, 0, atol=1e-3)
    assert dropped.mean() == pytest.approx(0.25, abs=0.015)  # 5 deviations
    assert np.median(factors[~dropped]) == pytest.approx(1 / 0.75, rel=1e-4)
    assert dropped.any(axis=0).all()  # no row or column as a whole
    assert not dropped.all(axis=1).any()


@pytest.mark.parametrize("rate", [0.0, 0.5])
@pytest.mark.parametrize("shape", [(5, 4), (5, 2, 4)])
def test_at_inference_it_is_a_dense_layer(rate, shape):
    layer, x = DropConnect(3, rate, activation="tanh"), standard_normal(*shape)
    y = to_numpy(layer(x))
    kernel, bias = to_numpy(layer.kernel), to_numpy(layer.bias)
    np.testing.assert_allclose(y, np.tanh(x @ kernel + bias), rtol=1e-5, atol=1e-6)
    assert layer.count_params() == (4 + 1) * 3


def test_the_mean_over_masks_is_the_dense_layer():
    layer, x = DropConnect(3, 0.5, use_bias=False), standard_normal(2, 4)
    draws = [to_numpy(layer(x, training=True)) for _ in range(400)]
    deviations = np.std(draws, axis=0) / np.sqrt(len(draws))
    error = np.abs(np.mean(draws, axis=0) - to_numpy(layer(x)))
    assert (error < 5 * deviations).all()


def test_rate_zero_drops_nothing():
    layer, x = DropConnect(3, 0), standard_normal(2, 4)
    np.testing.assert_array_equal(to_numpy(layer(x, training=True)), to_numpy(layer(x)))


def test_a_seed_repeats_the_draws():
    layers = [DropConnect(9, 0.5, seed=1, kernel_initializer="ones") for _ in range(2)]
    x = np.eye(9, dtype="float32")
    draws = [[to_numpy(a(x, training=True)) for _ in range(2)] for a in layers]
    np.testing.assert_array_equal(*draws)
    assert not np.array_equal(*draws[0])


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_keeps_small_rates(dtype):
    layer = DropConnect(400, 0.001, dtype=dtype, kernel_initializer="ones")
    y = layer(np.eye(250, dtype="float32"), training=True)
    assert keras.backend.standardize_dtype(y.dtype) == dtype.removeprefix("mixed_")
    y = to_numpy(keras.ops.cast(y, "float32"))
    assert 50 < (y == 0).sum() < 150  # of 100 expected


@pytest.mark.heavy
def test_it_trains_its_kernel_and_penalizes_it_whole(jit_compile):
    l2 = keras.regularizers.L2(0.01)
    layer = DropConnect(16, 0.3, activation="relu", kernel_regularizer=l2)
    model = keras.Sequential([layer, keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit_compile)
    x = standard_normal(128, 8)
    y = x[:, :1]
    losses = model.fit(x, y, epochs=30, verbose=0).history["loss"]
    assert losses[-1] < 0.6 * losses[0]
    expected = 0.01 * float((to_numpy(layer.kernel) ** 2).sum())
    assert float(to_numpy(sum(model.losses))) == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 2.5}, "`units`. Expected an integer >= 1"),
        ({"rate": 1.0}, r"`rate`. Expected a float in \[0, 1\)"),
        ({"seed": "a"}, "seed"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        DropConnect(**{"units": 3, "rate": 0.5, **arguments})
