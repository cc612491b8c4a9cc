import keras
import numpy as np
import pytest

from zoo.layers import StochasticDepth

to_numpy = keras.ops.convert_to_numpy


def standard_normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


@pytest.mark.parametrize("shape", [(2000,), (2000, 3), (2000, 2, 3, 1)])
def test_an_example_is_dropped_whole_or_scaled(shape):
    x = standard_normal(*shape)
    y = to_numpy(StochasticDepth(0.2)(x, training=True))
    factors = (y / x).reshape(len(x), -1)
    dropped = (factors == 0).all(axis=1)
    np.testing.assert_allclose(factors[~dropped], 1 / 0.8, rtol=1e-6)
    assert dropped.mean() == pytest.approx(0.2, abs=0.04)  # 4.5 deviations


@pytest.mark.parametrize("rate", [0.0, 0.7])
def test_inference_is_the_identity(rate):
    x = standard_normal(50, 3)
    layer = StochasticDepth(rate)
    np.testing.assert_array_equal(to_numpy(layer(x)), x)
    np.testing.assert_array_equal(to_numpy(layer(x, training=False)), x)


def test_rate_zero_drops_nothing():
    x = standard_normal(50, 3)
    np.testing.assert_array_equal(to_numpy(StochasticDepth(0)(x, training=True)), x)


def test_a_seed_repeats_the_draws():
    x = np.ones((100, 1), "float32")
    draws = [
        [to_numpy(layer(x, training=True)) for _ in range(2)]
        for layer in (StochasticDepth(0.5, seed=1), StochasticDepth(0.5, seed=1))
    ]
    np.testing.assert_array_equal(*draws)
    assert not np.array_equal(*draws[0])


def test_it_has_no_weights_and_keeps_the_shape():
    inputs = keras.Input((4, 5))
    model = keras.Model(inputs, StochasticDepth(0.5)(inputs))
    assert model.count_params() == 0
    assert model.output_shape == (None, 4, 5)
    assert StochasticDepth(0.5).compute_output_shape((7, 3)) == (7, 3)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision_keeps_small_rates(dtype):
    layer = StochasticDepth(0.001, dtype=dtype)
    y = layer(np.ones((100_000, 1), "float32"), training=True)
    assert keras.backend.standardize_dtype(y.dtype) == dtype.removeprefix("mixed_")
    y = to_numpy(keras.ops.cast(y, "float32"))
    assert 50 < (y == 0).sum() < 150  # of 100 expected


@pytest.mark.heavy
def test_a_residual_block_trains(jit_compile):
    inputs = keras.Input((8,))
    branch = StochasticDepth(0.5)(keras.layers.Dense(8, activation="relu")(inputs))
    outputs = keras.layers.Dense(1)(keras.layers.add([inputs, branch]))
    model = keras.Model(inputs, outputs)
    model.compile(keras.optimizers.Adam(0.01), "mse", jit_compile=jit_compile)
    x = standard_normal(128, 8)
    y = x.sum(axis=1, keepdims=True)
    losses = model.fit(x, y, epochs=20, verbose=0).history["loss"]
    assert losses[-1] < 0.5 * losses[0]


@pytest.mark.parametrize("rate", [1, -0.1, float("nan"), "0.5", None, True])
def test_a_bad_rate(rate):
    with pytest.raises(ValueError, match=r"`rate`. Expected a float in \[0, 1\)"):
        StochasticDepth(rate)


def test_a_bad_seed():
    with pytest.raises(ValueError, match="seed"):
        StochasticDepth(0.5, seed=0.5)
