"""How signals pass through deep networks that have not been trained yet."""

import keras
import numpy as np
import pytest

from zoo import mlp

pytestmark = pytest.mark.one_backend

to_numpy = keras.ops.convert_to_numpy
DEPTH, UNITS = 30, 512


def activations(model, x):
    """What every hidden layer outputs, after its activation."""
    layers = [
        layer
        for layer in model.layers
        if layer.name.startswith("hidden_")
        and not isinstance(layer, keras.layers.Dense)
    ]
    return map(to_numpy, keras.Model(model.input, [a.output for a in layers])(x))


def variances(initializer, num_seeds):
    """The variance of the activations of every layer, averaged over seeds."""
    x = np.random.default_rng(0).standard_normal((128, UNITS)).astype("float32")
    rows = []
    for seed in range(num_seeds):
        keras.utils.set_random_seed(seed)
        model = mlp(
            (UNITS,), 10, units=(UNITS,) * DEPTH, kernel_initializer=initializer
        )
        rows.append([np.var(y) for y in activations(model, x)])
    return np.mean(rows, axis=0)


@pytest.mark.heavy
def test_automatic_weights_keep_signals_alive_through_30_layers():
    by_depth = variances("auto", num_seeds=5)
    assert len(by_depth) == DEPTH
    assert by_depth.max() / by_depth.min() < 5


def test_small_weights_lose_the_signal():
    small = keras.initializers.RandomNormal(stddev=0.01)
    by_depth = variances(small, num_seeds=1)
    # Each layer multiplies the second moment with 512 * 0.01**2 / 2 = 0.0256.
    factor = (by_depth[12] / by_depth[2]) ** (1 / 10)
    assert factor == pytest.approx(0.0256, rel=0.15)
    assert by_depth[-1] < 1e-30 * by_depth[0]


@pytest.mark.parametrize("pieces", [2, 5])
def test_automatic_weights_of_maxout_keep_the_second_moment(pieces):
    x = np.random.default_rng(0).standard_normal((128, 128)).astype("float32")
    model = mlp(
        (128,), 10, units=(128,) * 10, activation="maxout", maxout_pieces=pieces
    )
    hidden = [model.get_layer(f"hidden_{i}").output for i in (1, 10)]
    first, last = keras.Model(model.input, hidden)(x)
    ratio = np.mean(to_numpy(last) ** 2) / np.mean(to_numpy(first) ** 2)
    assert 0.2 < ratio < 5


def test_zero_weights_keep_all_units_of_a_layer_alike():
    model = mlp((4,), 3, units=(8, 8), activation="sigmoid")
    model.set_weights([np.zeros(weight.shape) for weight in model.weights])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(1.0), loss)
    x = np.random.default_rng(0).standard_normal((64, 4)).astype("float32")
    model.fit(x, np.arange(64) % 3 % 2, epochs=5, verbose=0)
    for name in ("hidden_1", "hidden_2"):
        kernel = to_numpy(model.get_layer(name).kernel)
        assert np.abs(kernel).max() > 0  # it learns, but as one unit
        np.testing.assert_allclose(kernel, kernel[:, :1] + 0 * kernel, rtol=1e-4)
    for hidden in activations(model, x):
        np.testing.assert_allclose(hidden, hidden[:, :1] + 0 * hidden, rtol=1e-5)
