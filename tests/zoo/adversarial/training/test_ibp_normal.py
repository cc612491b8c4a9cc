"""Initial weights of certified training: the widths of bounds, seeds and saving."""

import keras
import numpy as np

from zoo import mlp
from zoo.adversarial.training.ibp_normal import IBPNormal

UNITS = (1024, 1024, 1024)


def widths(initializer):
    """Returns the mean widths of the intervals before each activation, in NumPy."""
    model = mlp((784,), 10, units=UNITS, kernel_initializer=initializer)
    x = np.random.default_rng(0).random((8, 784))
    lower, upper, found = x - 0.1, x + 0.1, []
    for index in range(1, len(UNITS) + 1):
        kernel, bias = model.get_layer(f"hidden_{index}").get_weights()
        middle = (lower + upper) / 2 @ kernel + bias
        spread = (upper - lower) / 2 @ abs(kernel)
        found.append(2 * spread.mean())
        lower, upper = (np.maximum(middle + s * spread, 0) for s in (-1, 1))
    return np.array(found)


def test_widths_are_preserved():
    found = widths(IBPNormal(seed=1))
    np.testing.assert_allclose(found, 2 * 0.2, rtol=0.1)
    growth = widths("he_normal")[1:] / widths("he_normal")[:-1]
    assert (growth > 10).all()


def test_seeds_and_configuration():
    first, again = (IBPNormal(seed=3)((5, 4)) for _ in range(2))
    np.testing.assert_array_equal(*map(keras.ops.convert_to_numpy, (first, again)))
    config = keras.saving.serialize_keras_object(IBPNormal(seed=3))
    loaded = keras.saving.deserialize_keras_object(config)
    np.testing.assert_array_equal(
        *map(keras.ops.convert_to_numpy, (first, loaded((5, 4))))
    )
    layers = mlp((4,), 2, units=(4, 4), kernel_initializer=IBPNormal()).layers
    kernels = [
        layer.get_weights()[0]
        for layer in layers
        if "hidden" in layer.name and layer.weights
    ]
    assert not np.array_equal(*kernels)
