"""Bounds compared with rational arithmetic and with integer programming."""

import itertools
from fractions import Fraction

import keras
import numpy as np
import pytest
from scipy.optimize import LinearConstraint, milp

from zoo import mlp
from zoo.adversarial import certify

METHODS = ("ibp", "crown", "alpha-crown")


def exact_minimum(weights, low, high):
    """The least margin of a ReLU network of one input, in rational arithmetic.

    Args:
        weights: Kernels and biases of Fractions, the last of them of one output.
        low: Fraction, the lowest input.
        high: Fraction, the highest.
    """
    ends = [low, high]
    for depth in range(1, len(weights)):
        cuts = set(ends)
        for left, right in itertools.pairwise(ends):
            at_left, at_right = (
                forward(weights[:depth], point) for point in (left, right)
            )
            for a, b in zip(at_left, at_right, strict=True):
                if a * b < 0:
                    cuts.add(left + (right - left) * a / (a - b))
        ends = sorted(cuts)
    return min(forward(weights, point)[0] for point in ends)


def forward(weights, point):
    values = [point]
    for index, (kernel, bias) in enumerate(weights):
        if index:
            values = [max(value, Fraction(0)) for value in values]
        columns = zip(*kernel, strict=True)
        values = [
            sum((v * w for v, w in zip(values, column, strict=True)), b)
            for column, b in zip(columns, bias, strict=True)
        ]
    return values


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize(
    "method", ["ibp", "crown", pytest.param("alpha-crown", marks=pytest.mark.heavy)]
)
def test_bounds_never_exceed_exact_arithmetic(method, random_weights):
    model = random_weights(mlp((1,), 2, units=(4, 3)), seed=5, scale=2.0)
    x = np.linspace(0.1, 0.9, 41, dtype="float32")[:, None]
    y = np.argmax(keras.ops.convert_to_numpy(model(x)), axis=1)
    epsilons = (0.001, 0.02, 0.1)
    report = certify(model, (x, y), epsilons, method=method, verbose=0)
    values = [
        [[Fraction(float(v)) for v in np.atleast_1d(row)] for row in part]
        for part in model.get_weights()
    ]
    layers = [
        (values[i], [row[0] for row in values[i + 1]]) for i in range(0, len(values), 2)
    ]
    kernel, bias = layers.pop()
    proved = 0
    for label in (0, 1):
        margin = ([[r[label] - r[1 - label]] for r in kernel], [])
        margin = (margin[0], [bias[label] - bias[1 - label]])
        for row in np.flatnonzero(y == label):
            for epsilon in epsilons:
                center, radius = Fraction(float(x[row, 0])), Fraction(epsilon)
                low, high = max(center - radius, 0), min(center + radius, 1)
                exact = exact_minimum([*layers, margin], low, Fraction(high))
                bound = Fraction(report.margins[epsilon][row, 1 - label])
                assert bound <= exact
                if report.certified[epsilon][row]:
                    assert exact > 0
                    proved += 1
    assert proved > 20


@pytest.mark.usefixtures("eager")
@pytest.mark.parametrize("method", ["ibp", "crown"])
def test_no_rounding_certifies_a_margin_of_zero(method):
    """A linear model, and radii at which its exact worst margin reaches zero."""
    generator = np.random.default_rng(0)
    kernel = np.zeros((40, 2), "float32")
    kernel[:, 1] = generator.normal(size=40) + 0.3
    model = mlp((40,), 2, units=())
    model.set_weights([kernel, np.float32([0, 0])])
    x = generator.uniform(0.4, 0.6, (20, 40)).astype("float32")
    weights = [Fraction(float(w)) for w in kernel[:, 1]]
    values = [
        sum(Fraction(float(v)) * w for v, w in zip(row, weights, strict=True))
        for row in x
    ]
    size = sum(map(abs, weights))
    epsilons = []
    for value in values:
        epsilon = float(abs(value) / size)
        while Fraction(epsilon) * size < abs(value):
            epsilon = float(np.nextafter(epsilon, 1))
        epsilons.append(epsilon)
    assert max(epsilons) < 0.4  # so that no bound of the inputs is reached
    y = np.array([int(value > 0) for value in values])
    smaller = [0.999 * epsilon for epsilon in epsilons]
    report = certify(model, (x, y), epsilons + smaller, method=method, verbose=0)
    for row in range(len(x)):
        assert not report.certified[epsilons[row]][row]
        assert report.certified[smaller[row]][row]


def exact_margin(model, x, epsilon, label):
    """The least margin of a network of one hidden layer, by integer programming."""
    first, first_bias, last, last_bias = (
        np.float64(part) for part in model.get_weights()
    )
    low, high = np.clip(x - epsilon, 0, 1), np.clip(x + epsilon, 0, 1)
    center, radius = (low + high) / 2, (high - low) / 2
    middle = center @ first + first_bias
    lower = middle - radius @ np.abs(first)
    upper = middle + radius @ np.abs(first)
    inputs, hidden = first.shape
    # Variables: inputs, values before ReLU, after it, and whether it is on.
    zeros = np.zeros
    rows, least, most = [], [], []

    def add(x=None, z=None, h=None, d=None, low=-np.inf, high=np.inf):
        parts = (x, z, h, d)
        sizes = (inputs, hidden, hidden, hidden)
        rows.append(
            np.concatenate(
                [
                    zeros(size) if part is None else part
                    for part, size in zip(parts, sizes, strict=True)
                ]
            )
        )
        least.append(low)
        most.append(high)

    eye = np.eye(hidden)
    for unit in range(hidden):
        e, bias = eye[unit], first_bias[unit]
        add(x=-first[:, unit], z=e, low=bias, high=bias)
        add(z=-e, h=e, low=0)
        add(z=-e, h=e, d=-min(lower[unit], 0) * e, high=-min(lower[unit], 0))
        add(h=e, d=-max(upper[unit], 0) * e, high=0)
    sides = (
        np.concatenate([low, lower, zeros(hidden), zeros(hidden)]),
        np.concatenate([high, upper, np.maximum(upper, 0), np.ones(hidden)]),
    )
    direction = last[:, label] - last[:, 1 - label]
    cost = np.concatenate([zeros(inputs + hidden), direction, zeros(hidden)])
    result = milp(
        cost,
        integrality=np.repeat([0, 1], [inputs + 2 * hidden, hidden]),
        bounds=sides,
        constraints=LinearConstraint(np.array(rows), least, most),
        options={"mip_rel_gap": 0.0},
    )
    assert result.success
    return result.fun + last_bias[label] - last_bias[1 - label]


@pytest.mark.usefixtures("eager")
def test_bounds_beside_integer_programming(random_weights):
    model = random_weights(mlp((4,), 2, units=(6,)), seed=3, scale=1.5)
    x = np.random.default_rng(4).random((6, 4)).astype("float32")
    y = np.argmax(keras.ops.convert_to_numpy(model(x)), axis=1)
    reports = [certify(model, (x, y), 0.2, method=m, verbose=0) for m in METHODS]
    found = np.array([r.margins[0.2][range(6), 1 - y] for r in reports])
    exact = np.array(
        [exact_margin(model, x[i].astype("float64"), 0.2, y[i]) for i in range(6)]
    )
    assert (found <= exact + 1e-6).all()
    ibp, crown, alpha = found
    assert (ibp <= alpha).all()
    assert (crown <= alpha).all()
    assert (alpha - crown).max() > 1e-3  # slopes were worth a search
    assert (exact - alpha).max() < 0.5 * (exact - ibp).max()


@pytest.mark.usefixtures("eager")
def test_each_method_is_at_least_as_tight_as_the_previous_one(random_weights):
    generator = np.random.default_rng(0)
    x = generator.random((80, 4)).astype("float32")
    y = generator.integers(0, 3, 80)
    # For about one in ten of these margins, linear bounds alone would be looser.
    model = random_weights(mlp((4,), 3, units=(6, 6)), seed=3, scale=2.0)
    ibp, crown, alpha = (
        certify(model, (x, y), 0.3, method=method, steps=2, verbose=0).margins[0.3]
        for method in METHODS
    )
    assert (crown >= ibp - 1e-9).all()
    assert (alpha >= crown - 1e-9).all()
    assert (crown > ibp + 0.01).sum() > 50
