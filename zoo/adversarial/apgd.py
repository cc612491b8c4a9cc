"""Auto-PGD, which finds its step sizes itself."""

import itertools

import keras
import numpy as np
from keras import ops

from ..utils.arguments import check_choice, invalid_argument
from . import norms
from .attack import Attack

LOSSES = ("cross_entropy", "dlr", "targeted_dlr")
MOMENTUM = 0.75  # alpha in the paper
RISING = 0.75  # rho: of the steps that must raise the objective


@keras.saving.register_keras_serializable(package="kerascope")
class APGD(Attack):
    """Steps uphill with momentum, and halves its steps where they do not help.

    Croce & Hein, "Reliable Evaluation of Adversarial Robustness with an Ensemble of
    Diverse Parameter-free Attacks" (2020), algorithm 1: steps begin at 2 epsilon. At
    checkpoints that come ever closer, an example whose objective rose too seldom, or
    found nothing better, goes back to its best point with half the step.

    Args:
        epsilon: Number >= 0: the largest norm of a perturbation, in the units of the
            inputs.
        loss: "cross_entropy", as in `PGD`; "dlr", the difference-of-logits ratio,
            which does not change with the scale of the logits; or "targeted_dlr", of
            which every restart goes for another wrong class, the most likely first.
            Where there are too few classes for a ratio, it is a difference of logits.
            Defaults to `"cross_entropy"`.
        norm: "linf" or "l2". Defaults to `"linf"`.
        steps: Integer >= 1. Defaults to `100`.
        random_start: Whether to start at a random point, uniform in the ball, or at
            the input. Defaults to `True`.
        restarts: Integer >= 1: searches from different starts, in evaluation; `None`
            is 9 with "targeted_dlr", else 1. Defaults to `None`.
        bounds: The lowest and the highest value of an input. Defaults to
            `(0.0, 1.0)`.
        mask: Booleans that broadcast to the shape of an example: the features that
            may change. Defaults to `None`: all.
        targeted: Whether labels name the class to reach, not the one to leave; not
            with "targeted_dlr", which names classes itself. Defaults to `False`.
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
            fix = 'Use `loss="dlr"` for a class of your own.'
            raise invalid_argument("targeted", 'False with "targeted_dlr"', True, fix)

    def _settings(self, scale) -> dict:
        return {**super()._settings(scale), "windows": _windows(self.steps)}

    def get_config(self) -> dict:
        return {**super().get_config(), "loss": self.loss}

    def _begin(self, start, settings):
        per_example = ops.zeros_like(ops.sum(start, axis=tuple(range(1, start.ndim))))
        lowest = per_example - float("inf")
        return (
            start,
            start,  # the point before
            lowest,  # its objective
            start,  # the best point
            lowest,  # its objective
            ops.zeros_like(start),  # its gradient
            per_example + 2 * settings["epsilon"],  # the step size
            per_example,  # how often the objective rose since the last checkpoint
            lowest,  # the best objective at the last checkpoint
            per_example > 0,  # whether the step was halved there
        )

    def _step(self, index, state, loss, gradient, x, settings):
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
        uphill = norms.direction(self.norm, gradient, settings.get("mask"))
        target = self._project(current + norms.expand(step, x) * uphill, x, settings)
        # The number of the step is one for all, or one for each example.
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
    """Keeps the best point; at the end of a window, may halve steps and return to it.

    `window` is how many steps the window had, and 0 where none ends.
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
    """Takes (points, objective, gradient) of the first where `chosen`."""
    return [
        ops.where(norms.expand(chosen, a), a, b)
        for a, b in zip(first, second, strict=True)
    ]


def _windows(steps: int) -> np.ndarray:
    """Returns how long the window was that ends as each point arrives, else 0.

    The paper's iteration k makes point k + 1, and then checks if k is a checkpoint.
    """
    windows = np.zeros(steps, "int32")
    marks = checkpoints(steps)
    for start, end in itertools.pairwise(marks):
        if end + 1 < steps:
            windows[end + 1] = end - start
    return windows


def checkpoints(steps: int) -> list[int]:
    """Returns the steps after which step sizes are judged (section 3, "selection")."""
    before, position, marks = 0, 22, [0]  # in hundredths, which floats do not hold
    while position <= 100:
        marks.append(-(-position * steps // 100))
        before, position = position, position + max(position - before - 3, 6)
    return sorted(set(marks))
