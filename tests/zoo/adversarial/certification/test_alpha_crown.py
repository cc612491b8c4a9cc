"""Compares "alpha-crown" with SciPy's linear programming."""

import keras
import numpy as np
import pytest
from scipy.optimize import linprog

from zoo import mlp
from zoo.adversarial import certify

EPSILON = 0.1


def relaxed_minimum(x, weights, label: int, other: int) -> float:
    """Returns the smallest margin of the linear relaxation of one hidden ReLU layer.

    Each unit that is neither always on nor always off is replaced with the triangle
    around its graph (Ehlers, 2017).
    """
    kernel, bias, head, head_bias = weights
    low, high = np.clip([x - EPSILON, x + EPSILON], 0, 1)
    middle, radius = (low + high) / 2, (high - low) / 2
    center, spread = middle @ kernel + bias, radius @ abs(kernel)
    lower, upper = center - spread, center + spread
    off, unsure = upper <= 0, (lower < 0) & (upper > 0)
    slope = np.where(unsure, upper / (upper - lower), np.where(off, 0.0, 1.0))
    offset = np.where(unsure, -slope * lower, 0.0)
    weight = head[:, label] - head[:, other]
    units = len(bias)
    # Variables: inputs and activations. Activations are above the identity and below
    # the chord, and bounded by 0; units that are always off stay 0.
    above = np.hstack([kernel.T, -np.eye(units)])[~off]
    below = np.hstack([-slope[:, None] * kernel.T, np.eye(units)])
    result = linprog(
        np.concatenate([np.zeros(len(x)), weight]),
        A_ub=np.vstack([above, below]),
        b_ub=np.concatenate([-bias[~off], slope * bias + offset]),
        bounds=[*zip(low, high, strict=True), *[(0, None)] * units],
    )
    return result.fun + head_bias[label] - head_bias[other]


@pytest.mark.one_backend
def test_one_hidden_layer_is_bounded_as_tightly_as_by_linear_programming(eager):
    keras.utils.set_random_seed(0)
    model = mlp((6,), 3, units=(20,))
    generator = np.random.default_rng(0)
    weights = [generator.normal(size=w.shape) for w in model.get_weights()]
    model.set_weights(weights)
    x = generator.random((5, 6)).astype("float32")
    labels = np.asarray(keras.ops.argmax(model.predict(x, verbose=0), axis=1))
    options = {"method": "alpha-crown", "steps": 100, "verbose": 0}
    found = certify(model, (x, labels), EPSILON, **options).margins[EPSILON]
    plain = certify(model, (x, labels), EPSILON, verbose=0).margins[EPSILON]
    weights = [w.astype("float64") for w in model.get_weights()]
    exact = np.array(
        [
            [
                relaxed_minimum(one.astype("float64"), weights, label, other)
                for other in range(3)
            ]
            for one, label in zip(x, labels, strict=True)
        ]
    )
    others = np.isfinite(found)
    assert (found <= exact + 1e-6)[others].all()
    assert (exact - found)[others].max() < 0.02
    assert (exact - plain)[others].max() > 0.1  # so the slopes matter
