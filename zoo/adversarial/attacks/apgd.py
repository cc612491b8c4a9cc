"""The Auto-PGD attack, which adapts its step size."""

import itertools

import keras
import numpy as np
from keras import ops

from ...utils.arguments import check_choice, invalid_argument
from .. import norms
from .attack import Attack

LOSSES = ("cross_entropy", "dlr", "targeted_dlr")
MOMENTUM = 0.75  # alpha in the paper
RISING = 0.75  # rho in the paper: fraction of steps that must increase the objective


@keras.saving.register_keras_serializable(package="kerascope")
class APGD(Attack):
    """Maximizes a loss by gradient ascent with momentum and adaptive step sizes.

    The class implements algorithm 1 of Croce & Hein, "Reliable Evaluation of
    Adversarial Robustness with an Ensemble of Diverse Parameter-free Attacks" (2020).
    After each step, the point is projected onto the ball. The initial step size is 2
    epsilon. The progress on each example is tested at checkpoints, which become more
    frequent during the search. If too few steps have increased the objective, or if the
    best objective has stopped improving, the search returns to the best point found so
    far for that example and halves the step size.

    NOTE[DIFF] For l1, Croce & Hein ("Mind the Box: l1-APGD for Sparse Adversarial
    Attacks on Image Classifiers", 2021) adapt the number of features that a step
    changes. Here, it is one percent, as in `PGD`. As in that paper, points are
    projected onto the intersection of the ball and the bounds.

    Args:
        epsilon: Number >= 0: the maximum norm of a perturbation, in the units of the
            inputs.
        loss: "cross_entropy", as in `PGD`; "dlr", the difference-of-logits ratio,
            which is invariant to the scale of the logits; or "targeted_dlr", in which
            each restart targets a different wrong class, beginning with the most
            likely one. If there are too few classes to compute the ratio, "dlr"
            and "targeted_dlr" use the difference between two logits. Defaults to
            `"cross_entropy"`.
        norm: "linf", "l2" or "l1". Defaults to `"linf"`.
        steps: Integer >= 1: number of steps. Defaults to `100`.
        random_start: Whether to start at a point drawn uniformly from the ball rather
            than at the input. Defaults to `True`.
        restarts: Integer >= 1: number of searches per example in evaluation mode. Each
            has a different starting point and, with "targeted_dlr", a different target
            class. Defaults to `None`: 9 with "targeted_dlr", otherwise 1.
        bounds: Minimum and maximum allowed input values. Defaults to `(0.0, 1.0)`.
        mask: Boolean array that broadcasts to the shape of an example and is true for
            the features that may change. Defaults to `None`: all features.
        targeted: Whether the labels are target classes instead of true classes. Must be
            `False` with "targeted_dlr", which selects its own target classes. Defaults
            to `False`.
        seed: Integer >= 0, as in `PGD`. Defaults to `0`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> model = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2)])
    >>> model.set_weights([np.array([[1.0, -1.0], [0.0, 0.0]]), np.zeros(2)])
    >>> attack = APGD(epsilon=0.25, loss="dlr", steps=10, random_start=False)
    >>> attack(model, np.array([[0.875, 0.5]]), np.array([0])).tolist()
    [[0.625, 0.5]]
    """

    algorithm = "apgd"

    def __init__(
        self,
        epsilon: float,
        *,
        loss: str = "cross_entropy",
        norm: str = "linf",
        steps: int = 100,
        random_start: bool = True,
        restarts: int | None = None,
        bounds: tuple[float, float] = (0.0, 1.0),
        mask=None,
        targeted: bool = False,
        seed: int = 0,
    ):
        self.loss = check_choice("loss", loss, LOSSES)
        if restarts is None:
            restarts = 9 if loss == "targeted_dlr" else 1
        super().__init__(
            epsilon,
            norm=norm,
            steps=steps,
            random_start=random_start,
            restarts=restarts,
            bounds=bounds,
            mask=mask,
            targeted=targeted,
            seed=seed,
        )
        if loss == "targeted_dlr" and targeted:
            fix = 'Use `loss="dlr"` to choose the target classes.'
            raise invalid_argument("targeted", 'False with "targeted_dlr"', True, fix)

    def _settings(self, scale) -> dict:
        return {**super()._settings(scale), "windows": _windows(self.steps)}

    def get_config(self) -> dict:
        return {**super().get_config(), "loss": self.loss}

    def begin(self, start, settings):
        per_example = ops.zeros_like(ops.sum(start, axis=tuple(range(1, start.ndim))))
        lowest = per_example - float("inf")
        return (
            start,
            start,  # the previous point
            lowest,  # the objective at the previous point
            start,  # the best point
            lowest,  # the objective at the best point
            ops.zeros_like(start),  # the gradient at the best point
            per_example + 2 * settings["epsilon"],  # the step size
            per_example,  # number of increases since the last checkpoint
            lowest,  # the best objective at the last checkpoint
            per_example > 0,  # whether the step size was halved at that checkpoint
        )

    def step(self, index, state, loss, gradient, x, settings):
        current, previous, loss_before, *best, step, rises, checked, halved = state
        current, loss, gradient, best, step, rises, checked, halved = _check(
            ops.take(settings["windows"], ops.minimum(index, settings["steps"] - 1)),
            (current, loss, gradient),
            best,
            step,
            rises,
            checked,
            halved,
        )
        rises = rises + ops.cast((index > 0) & (loss > loss_before), rises.dtype)
        uphill = self._uphill(current, gradient, settings)
        target = self._project(current + norms.expand(step, x) * uphill, x, settings)
        # `index` is a scalar, or has one entry per example.
        index = ops.broadcast_to(index, ops.shape(loss))
        momentum = norms.expand(ops.where(index > 0, MOMENTUM, 1.0), x)
        points = (
            current
            + momentum * (target - current)
            + (1 - momentum) * (current - previous)
        )
        points = self._project(points, x, settings)
        return points, current, loss, *best, step, rises, checked, halved


def _check(window, point, best, step, rises, checked, halved):
    """Updates the best point and, at a checkpoint, tests the progress of the search.

    If the progress is insufficient, the search returns to the best point and halves the
    step size. `window` is the number of steps since the previous checkpoint, or 0 if
    this is not a checkpoint.
    """
    current, loss, gradient = point
    better = loss > best[1]
    best = _choose(better, (current, loss, gradient), best)
    ends = window > 0
    length = ops.cast(window, rises.dtype)
    stuck = ~halved & (best[1] == checked)
    halve = ends & ((rises < RISING * length) | stuck)
    current, loss, gradient = _choose(halve, best, point)
    step = ops.where(halve, step / 2, step)
    rises = ops.where(ends, ops.zeros_like(rises), rises)
    checked = ops.where(ends, best[1], checked)
    halved = ops.where(ends, halve, halved)
    return current, loss, gradient, best, step, rises, checked, halved


def _choose(chosen, first, second) -> list:
    """Selects entries of `first` where `chosen` is true, and of `second` elsewhere."""
    return [
        ops.where(norms.expand(chosen, a), a, b)
        for a, b in zip(first, second, strict=True)
    ]


def _windows(steps: int) -> np.ndarray:
    """Returns, for each point, the length of the window that ends there, or 0 if none.

    A window is the interval between two checkpoints. It ends one point after a
    checkpoint because iteration k of the algorithm computes point k + 1 before it tests
    whether k is a checkpoint.
    """
    windows = np.zeros(steps, "int32")
    marks = checkpoints(steps)
    for start, end in itertools.pairwise(marks):
        if end + 1 < steps:
            windows[end + 1] = end - start
    return windows


def checkpoints(steps: int) -> list[int]:
    """Returns the checkpoints: the steps at which step sizes may be halved.

    Section 3 of Croce & Hein (2020) describes how the checkpoints are selected.
    """
    before, position, marks = 0, 22, [0]  # percentages, to avoid rounding errors
    while position <= 100:
        marks.append(-(-position * steps // 100))
        before, position = position, position + max(position - before - 3, 6)
    return sorted(set(marks))
