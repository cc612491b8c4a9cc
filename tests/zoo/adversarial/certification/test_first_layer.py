"""Bounds with float32 products, compared with exact minima."""

from fractions import Fraction

import keras
import numpy as np
import pytest

from zoo import mlp
from zoo.adversarial import certify
from zoo.adversarial.certification import certifier
from zoo.adversarial.certification.bounds import first_layer
from zoo.adversarial.certification.bounds.ball import Ball
from zoo.adversarial.certification.bounds.interval_bounds import (
    BoundPass,
    interval_bounds,
)
from zoo.adversarial.certification.bounds.read_network import read_network
from zoo.differentiation import float64_scope


@pytest.mark.parametrize("scale", [1.0, 1e-25])  # products of the latter underflow
def test_minimum_is_below_the_exact_one_and_close_to_it(scale):
    inputs, units = 40, 30
    model = mlp((inputs,), units, units=())
    generator = np.random.default_rng(0)
    kernel = (scale * generator.normal(size=(inputs, units))).astype("float32")
    model.set_weights([kernel, np.zeros(units, "float32")])
    x = generator.random((1, inputs)).astype("float32").astype("float64")
    rows = scale * generator.normal(size=(1, 5, units))
    with float64_scope():
        ball = Ball(
            keras.ops.convert_to_tensor(x), np.float64(0.125), "linf", (0.0, 1.0)
        )
        run = BoundPass(read_network(model), ball, "float64", float32_products=True)
        bounds = interval_bounds(run)
        assert first_layer.is_supported(run, 1)
        found, _ = first_layer.minimum(
            run, bounds, 1, keras.ops.convert_to_tensor(rows)
        )
        found = keras.ops.convert_to_numpy(found)[0]
        spread = keras.ops.convert_to_numpy(bounds[1].upper - bounds[1].lower)[0] / 2
    ends = [
        (max(Fraction(v) - Fraction(1, 8), 0), min(Fraction(v) + Fraction(1, 8), 1))
        for v in x[0]
    ]
    for row, bound in zip(rows[0], found, strict=True):
        exact = Fraction(0)
        for weights, (low, high) in zip(kernel, ends, strict=True):
            slope = sum(
                Fraction(r) * Fraction(float(w))
                for r, w in zip(row, weights, strict=True)
            )
            exact += slope * (low if slope > 0 else high)
        assert Fraction(bound) <= exact
        allowance = 1e-5 * np.abs(row) @ spread + 1e-28
        assert exact - Fraction(bound) <= Fraction(allowance)


def test_float32_products_change_margins_less_than_rounding_does(monkeypatch):
    keras.utils.set_random_seed(0)
    model = mlp((64,), 10, units=(128,))
    x = np.random.default_rng(0).random((20, 64)).astype("float32")
    data = x, np.arange(20) % 10
    found = certify(model, data, 0.05, verbose=0)
    monkeypatch.setattr(certifier, "has_exact_products", lambda: False)
    slow = certify(model, data, 0.05, verbose=0)
    others = np.isfinite(slow.margins[0.05])
    loss = slow.margins[0.05][others] - found.margins[0.05][others]
    assert loss.max() < found.errors[0.05][others].min()
    if first_layer.has_exact_products():
        assert loss.min() > 0  # the first certificate did use float32


def test_products_of_lower_precision_are_noticed(monkeypatch):
    matmul = keras.ops.matmul

    def imprecise(left, right):
        return matmul(np.float16(left).astype("float32"), right)

    monkeypatch.setattr(first_layer.ops, "matmul", imprecise)
    assert not first_layer.has_exact_products()
