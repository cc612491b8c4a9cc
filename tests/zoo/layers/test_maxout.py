import keras
import numpy as np
import pytest

from zoo.layers import Maxout

to_numpy = keras.ops.convert_to_numpy


def standard_normal(*shape):
    return np.random.default_rng(0).standard_normal(shape).astype("float32")


def expected_output(layer, x):
    kernel, bias = to_numpy(layer.kernel), to_numpy(layer.bias)
    linear = x @ kernel + bias
    return linear.reshape(*x.shape[:-1], layer.units, layer.pieces).max(axis=-1)


@pytest.mark.parametrize("shape", [(5, 4), (5, 3, 4)])
@pytest.mark.parametrize("pieces", [1, 2, 3])
def test_it_is_the_largest_of_its_pieces(shape, pieces):
    layer, x = Maxout(6, pieces), standard_normal(*shape)
    y = to_numpy(layer(x))
    layer.bias.assign(standard_normal(6 * pieces))
    y = to_numpy(layer(x))
    np.testing.assert_allclose(y, expected_output(layer, x), rtol=1e-5, atol=1e-6)
    assert layer.count_params() == (4 + 1) * 6 * pieces
    assert layer.compute_output_shape((None, 3, 4)) == (None, 3, 6)


def test_two_pieces_can_be_relu_and_the_absolute_value():
    layer, x = Maxout(2, pieces=2), np.linspace(-1, 1, 9, dtype="float32")[:, None]
    layer.build((None, 1))
    layer.kernel.assign([[1.0, 0.0, 1.0, -1.0]])
    expected = np.hstack([np.maximum(x, 0), np.abs(x)])
    np.testing.assert_allclose(to_numpy(layer(x)), expected)


# Second moments of the largest of standard normal numbers, in closed form.
@pytest.mark.parametrize(
    ("pieces", "moment"), [(1, 1), (2, 1), (3, 1 + np.sqrt(3) / (2 * np.pi))]
)
def test_automatic_weights_keep_the_second_moment(pieces, moment):
    layer, x = Maxout(1000, pieces), standard_normal(200, 500)
    y = to_numpy(layer(x))
    assert np.mean(y**2) == pytest.approx(1, rel=0.05)
    assert np.var(to_numpy(layer.kernel)) * 500 == pytest.approx(1 / moment, rel=0.02)


@pytest.mark.parametrize("dtype", ["mixed_float16", "mixed_bfloat16"])
def test_half_precision(dtype):
    layer, x = Maxout(6, 3, dtype=dtype), standard_normal(5, 4)
    y = layer(x)
    assert keras.backend.standardize_dtype(y.dtype) == dtype.removeprefix("mixed_")
    y = to_numpy(keras.ops.cast(y, "float32"))
    np.testing.assert_allclose(y, expected_output(layer, x), rtol=0.03, atol=0.03)


@pytest.mark.heavy
def test_it_learns_the_absolute_value(jit_compile):
    model = keras.Sequential([Maxout(4, 2), keras.layers.Dense(1)])
    model.compile(keras.optimizers.Adam(0.02), "mse", jit_compile=jit_compile)
    x = standard_normal(256, 1)
    losses = model.fit(x, np.abs(x), epochs=40, verbose=0).history["loss"]
    assert losses[-1] < 0.02  # a linear model ends at 0.36


def test_another_width_than_it_was_built_with():
    layer = Maxout(3)
    layer(np.ones((2, 4), "float32"))
    with pytest.raises(ValueError, match="expected axis -1"):
        layer(np.ones((2, 5), "float32"))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"units": 0}, "`units`. Expected an integer >= 1"),
        ({"pieces": 2.5}, "`pieces`. Expected an integer >= 1"),
        ({"kernel_initializer": "he"}, "`kernel_initializer`. Expected a Keras name"),
        ({"kernel_regularizer": "l7"}, "`kernel_regularizer`. Expected a Keras name"),
    ],
)
def test_bad_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        Maxout(**{"units": 3, **arguments})
