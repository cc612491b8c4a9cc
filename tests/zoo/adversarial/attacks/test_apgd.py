"""Auto-PGD against a transcript of its algorithm, in NumPy and float64."""

import math
from fractions import Fraction

import keras
import numpy as np
import pytest

from zoo.adversarial import APGD
from zoo.adversarial.attacks.apgd import checkpoints
from zoo.differentiation import float64_scope

ops = keras.ops
CENTER = np.array([0.9, 0.1, 0.55, 0.5])
CURVATURE = np.array([1.0, 30.0, 3.0, 0.0])


def objective(x):
    """A concave bowl that no step of epsilon fits, with a bend along a diagonal."""
    ridge = np.abs(x[:, 0] + x[:, 1] - 1.1)
    return -(CURVATURE * (x - CENTER) ** 2).sum(axis=1) - 0.7 * ridge


def gradient(x):
    result = -2 * CURVATURE * (x - CENTER)
    result[:, :2] -= 0.7 * np.sign(x[:, :1] + x[:, 1:2] - 1.1)
    return result


def bowl(x):
    """The same as two logits, of which the second is the objective."""
    ridge = ops.abs(x[:, 0] + x[:, 1] - 1.1)
    curvature, center = (
        ops.convert_to_tensor(values.astype("float32"))
        for values in (CURVATURE, CENTER)
    )
    bend = ops.sum(curvature * (x - center) ** 2, axis=1)
    value = -bend - 0.7 * ridge
    return ops.stack([ops.zeros_like(value), value], axis=1)


def transcript(x, epsilon, steps, norm):
    """Algorithm 1 of Croce & Hein (2020), one example at a time.

    Returns the iterates, their step sizes, and the last points before any return.
    """

    def ascend(point, step):
        g = gradient(point[None])[0]
        uphill = np.sign(g) if norm == "linf" else g / np.linalg.norm(g)
        return point + step * uphill

    def project(point, center):
        delta = point - center
        if norm == "linf":
            delta = np.clip(delta, -epsilon, epsilon)
        else:
            delta = delta * min(1, epsilon / max(np.linalg.norm(delta), 1e-30))
        return np.clip(center + delta, 0, 1)

    def value(point):
        return objective(point[None])[0]

    positions = [Fraction(0), Fraction(22, 100)]
    while positions[-1] <= 1:
        gap = positions[-1] - positions[-2] - Fraction(3, 100)
        positions.append(positions[-1] + max(gap, Fraction(6, 100)))
    marks = [math.ceil(p * steps) for p in positions if p <= 1]
    iterates, sizes, last_made = [], [], []
    for center in x:
        step = 2 * epsilon
        points = [center, project(ascend(center, step), center)]
        history = [step, step]
        best = max(points, key=value)
        at_mark = {0: (step, value(best))}
        for k in range(1, steps):
            z = project(ascend(points[k], step), center)
            new = project(
                points[k] + 0.75 * (z - points[k]) + 0.25 * (points[k] - points[k - 1]),
                center,
            )
            made = new
            if value(new) > value(best):
                best = new
            if k in marks:
                last = max(mark for mark in marks if mark < k)
                at_mark[k] = (step, value(best))
                rises = sum(
                    value(points[i + 1]) > value(points[i]) for i in range(last, k)
                )
                if rises < 0.75 * (k - last) or at_mark[last] == at_mark[k]:
                    step, new = step / 2, best
            points.append(new)
            history.append(step)
        iterates.append(points)
        sizes.append(history)
        last_made.append(made)
    return np.array(iterates), np.array(sizes), np.array(last_made)


@pytest.mark.parametrize("norm", ["linf", "l2"])
@pytest.mark.parametrize("steps", [7, 50])
def test_iterates_and_step_sizes_are_those_of_the_algorithm(norm, steps):
    x = np.random.default_rng(0).uniform(0.2, 0.8, (5, 4))
    epsilon = 0.15
    points, sizes, _ = transcript(x, epsilon, steps, norm)
    assert steps < 10 or len(np.unique(sizes)) >= 3
    attack = APGD(epsilon, norm=norm, steps=steps, random_start=False)
    with float64_scope():  # rounding must not decide which value is larger
        inputs, settings = ops.convert_to_tensor(x), attack._settings(1.0)
        state = attack.begin(inputs, settings)
        for index in range(min(steps, 30)):  # later ones meet ties of rounding
            current = np.asarray(ops.convert_to_numpy(state[0]))
            value, slope = (
                ops.convert_to_tensor(function(current))
                for function in (objective, gradient)
            )
            state = attack.step(index, state, value, slope, inputs, settings)
            # The point that was stepped from: some went back to their best before.
            stepped, step = (ops.convert_to_numpy(state[i]) for i in (1, 6))
            np.testing.assert_allclose(stepped, points[:, index], atol=1e-9)
            np.testing.assert_allclose(step, sizes[:, index], rtol=1e-12)


def test_training_mode_returns_the_last_iterate():
    x = np.random.default_rng(1).uniform(0.2, 0.8, (5, 4))
    attack = APGD(0.15, steps=7, random_start=False)
    found = attack.perturb(
        bowl, ops.convert_to_tensor(x.astype("float32")), lambda logits: logits[:, 1]
    )
    *_, expected = transcript(x, 0.15, 7, "linf")
    np.testing.assert_allclose(ops.convert_to_numpy(found), expected, atol=1e-4)


def test_checkpoints_of_a_hundred_steps_are_those_of_the_paper():
    """With 100 iterations: 0, 22, 41, 57, 70, 80, 87, 93, 99 (section 3)."""
    assert checkpoints(100) == [0, 22, 41, 57, 70, 80, 87, 93, 99]
