import keras
import numpy as np
import pytest
from sklearn.datasets import load_digits

from zoo import mlp

CROSS_ENTROPY = keras.losses.SparseCategoricalCrossentropy(from_logits=True)


@pytest.fixture(scope="session")
def digits():
    """Images of digits as vectors in [0, 1]: train and test, each (x, y)."""
    x, y = load_digits(return_X_y=True)
    x, y = (x / 16).astype("float32"), y.astype("int32")
    return (x[:1300], y[:1300]), (x[1300:], y[1300:])


@pytest.fixture(scope="session")
def trained(digits):
    """A small classifier of digits."""
    keras.utils.set_random_seed(0)
    model = mlp((64,), 10, units=(64,))
    model.compile(keras.optimizers.Adam(3e-3), CROSS_ENTROPY, metrics=["accuracy"])
    model.fit(*digits[0], epochs=12, batch_size=64, verbose=0)
    return model


@pytest.fixture
def linear():
    """A linear classifier of two classes, and the direction from class 0 to 1."""
    model = mlp((5,), 2, units=())
    difference = np.array([1.0, -2.0, 0.5, 0.25, -1.0], "float32")
    kernel = np.stack([-difference / 2, difference / 2], axis=1)
    model.set_weights([kernel, np.zeros(2, "float32")])
    return model, difference
