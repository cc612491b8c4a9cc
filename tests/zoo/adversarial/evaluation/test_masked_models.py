"""Models that hide their gradients: each is named, or attacked all the same."""

import keras
import numpy as np
import pytest

from zoo import mlp
from zoo.adversarial import evaluate_robustness
from zoo.adversarial.evaluation.self_checks import check_finite

ops = keras.ops
QUICK = {"steps": 10, "restarts": 1, "verbose": 0}


class Apply(keras.layers.Layer):
    """Applies a function that keeps the shape."""

    def __init__(self, function):
        super().__init__()
        self.function = function

    def call(self, x):
        return self.function(x)


def neighbours_median(x):
    return ops.median(ops.stack([x, ops.roll(x, 1, 1), ops.roll(x, -1, 1)]), axis=0)


def largest_only(x):
    return ops.where(x >= ops.top_k(x, 12)[0][:, -1:], x, 0.0)


def cosine_rounded(x):
    """Rounds the coefficients of a cosine transform, as JPEG does."""
    k = np.arange(64)
    basis = np.cos(np.pi * (2 * k[:, None] + 1) * k / 128) / np.sqrt(32)
    basis[:, 0] /= np.sqrt(2)
    basis = ops.convert_to_tensor(basis.astype("float32"))
    return ops.matmul(ops.round(4 * ops.matmul(x, basis)) / 4, ops.transpose(basis))


BEFORE = {
    "rounded": lambda x: ops.round(8 * x) / 8,
    "mostly rounded": lambda x: 0.9 * ops.round(4 * x) / 4 + 0.1 * x,
    "cosine transform": cosine_rounded,
    "thermometer": lambda x: sum(ops.cast(x > i / 8, "float32") for i in range(8)) / 8,
    "stopped": ops.stop_gradient,
    "half is stopped": lambda x: ops.concatenate(
        [ops.stop_gradient(x[:, :32]), x[:, 32:]], axis=1
    ),
    "backwards": lambda x: 2 * ops.stop_gradient(x) - x,
    "shattered": lambda x: x + 0.01 * ops.sin(3000 * x),
    "finely shattered": lambda x: x + 0.002 * ops.sin(30_000 * x),
    "saturated": lambda x: ops.tanh(1e4 * (x - 0.5)),
    "median": lambda x: ops.stop_gradient(neighbours_median(x)),
    "root of zero": lambda x: x + 1e-3 * ops.sqrt(ops.abs(0 * x)),
}
AFTER = {
    "rounded logits": ops.round,
    "one-hot": lambda z: ops.one_hot(ops.argmax(z, axis=1), 10),
    "oscillating logits": lambda z: ops.round(2 * z) / 2 + 0.01 * ops.sin(50 * z),
}
HIDDEN = {
    "sign": lambda z: ops.sign(z),
    "straight-through sign of another slope": lambda z: (
        ops.stop_gradient(ops.sign(z) - ops.sin(9 * z)) + ops.sin(9 * z)
    ),
    "largest only": largest_only,
}
FAST = ("half is stopped", "shattered")


def masked(kind, trained, digits):
    if kind in HIDDEN:
        keras.utils.set_random_seed(0)
        layers = [keras.layers.Dense(64), Apply(HIDDEN[kind]), keras.layers.Dense(10)]
        model = keras.Sequential([keras.Input((64,)), *layers])
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        model.compile(keras.optimizers.Adam(3e-3), loss)
        model.fit(*digits[0], epochs=8, batch_size=64, verbose=0)
        return model
    if kind in BEFORE:
        return keras.Sequential([keras.Input((64,)), Apply(BEFORE[kind]), trained])
    return keras.Sequential([keras.Input((64,)), trained, Apply(AFTER[kind])])


def random_search(model, x, y, epsilon, steps=400):
    """Returns which examples fall to random corners of the ball, one group at a time.

    Written apart from the attacks, in NumPy: what it breaks is broken.
    """
    generator = np.random.default_rng(0)
    low, high = np.clip(x - epsilon, 0, 1), np.clip(x + epsilon, 0, 1)

    def margin(points):
        logits = np.asarray(ops.convert_to_numpy(model(points, training=False)))
        logits = logits.astype("float64")
        own = logits[np.arange(len(y)), y].copy()
        logits[np.arange(len(y)), y] = -np.inf
        return logits.max(axis=1) - own

    best = np.where(generator.random(x.shape) < 0.5, low, high)
    value = margin(best)
    for step in range(steps):
        chosen = generator.random(x.shape) < 0.4 * 0.5 ** (6 * step / steps)
        corner = np.where(generator.random(x.shape) < 0.5, low, high)
        points = np.where(chosen, corner, best)
        new = margin(points)
        best[new > value], value = points[new > value], np.maximum(new, value)
    return value > 0


@pytest.mark.heavy
@pytest.mark.series(every=2)
@pytest.mark.parametrize(
    "kind",
    [
        kind if kind in FAST else pytest.param(kind, marks=pytest.mark.slow)
        for kind in (*BEFORE, *AFTER, *HIDDEN)
    ],
)
def test_a_masked_model_is_named_or_broken(kind, trained, digits):
    model = masked(kind, trained, digits)
    x, y = (part[:80] for part in digits[1])
    report = evaluate_robustness(model, (x, y), 0.1, **QUICK)
    right = model.predict(x, verbose=0).argmax(axis=1) == y
    bound = (right & ~random_search(model, x, y, 0.1)).mean()
    named = any("upper bound" in warning for warning in report.warnings)
    assert named or report.robust_accuracy[0.1] <= bound + 0.03


def test_there_are_more_than_twelve_kinds():
    assert len({*BEFORE, *AFTER, *HIDDEN}) > 12


@pytest.mark.heavy
def test_a_constant_model_has_nothing_to_break(digits):
    model = mlp((64,), 10, units=())
    model.set_weights([np.zeros((64, 10)), 5 * np.eye(10)[3]])
    data = tuple(part[:60] for part in digits[1])
    (warning,) = evaluate_robustness(model, data, 0.1, **QUICK).warnings
    assert "predicts class 3 at all 120 inputs" in warning
    assert "nothing to break" in warning


def test_outputs_that_are_not_finite_are_named():
    outputs = np.zeros((6, 3))
    assert not list(check_finite(outputs))
    outputs[4, 1] = -np.inf  # a class that is ruled out
    assert not list(check_finite(outputs))
    outputs[1, 0], outputs[3] = np.nan, np.inf
    (warning,) = check_finite(outputs)
    assert "not finite (NaN or infinity) at 2 of 6 inputs" in warning


@pytest.mark.heavy
def test_nan_outputs_are_not_taken_for_rounding(digits):
    model = mlp((64,), 10, units=())
    model.set_weights([np.full((64, 10), np.nan), np.zeros(10)])
    data = digits[1][0][:20], np.zeros(20, int)
    warnings = evaluate_robustness(model, data, 0.1, **QUICK).warnings
    assert "not finite (NaN or infinity) at 20 of 20 inputs" in warnings[0]
    assert not any("rounds" in warning for warning in warnings)
