"""The fast minimum-norm attack, which searches for the smallest perturbation."""

from collections.abc import Callable

import numpy as np
from keras import ops

from ...differentiation import input_gradient
from .. import norms
from ..classifier.classifier import Classifier
from . import objectives
from .objective_scale import are_finite

DUAL = {"linf": "l1", "l2": "l2", "l1": "linf"}
# First and last values of the settings; they decrease along half a cosine.
RADIUS_CHANGES = (0.05, 1e-4)  # relative change of the radius: gamma in the paper
STEP_SIZES = (1.0, 1e-5)  # l2 norm of a step, relative to the width of the bounds
HALVINGS = 10  # of the line segment between an input and its adversarial example


def find_smallest(
    classifier: Classifier,
    x: np.ndarray,
    y: np.ndarray,
    rows: np.ndarray,
    *,
    norm: str,
    bounds: tuple[float, float],
    mask: np.ndarray | None = None,
    steps: int = 200,
    batch_size: int = 256,
    on_progress: Callable[[float], None] = lambda share: None,
) -> np.ndarray:
    """Searches for the smallest perturbations that change the predictions.

    This is algorithm 1 of Pintor, Roli, Brendel & Biggio, "Fast Minimum-norm
    Adversarial Attacks through Adaptive Norm Constraints" (2021). Each step follows the
    gradient of the margin, and projects the point onto a ball. The radius of the ball
    shrinks while the point is adversarial, and grows while it is not.

    NOTE[DIFF] The paper has a fixed step size for inputs in [0, 1]. Here, it is
    relative to the width of the bounds. The first estimate of the radius is increased,
    because a point on the boundary is not adversarial. Afterwards, the perturbations
    are shortened by a bisection of the line segment between the input and the
    adversarial example.

    Args:
        classifier: The wrapped model, which caches the compiled search.
        x: Float32 array of all inputs, within the bounds.
        y: Int32 array of the true classes.
        rows: Indices of the examples to attack, which are classified correctly.
        norm: "linf", "l2" or "l1".
        bounds: Minimum and maximum allowed input values.
        mask: Bool array that broadcasts to the shape of an example. Defaults to `None`:
            all features may change.
        steps: Number of steps. Defaults to `200`.
        batch_size: Number of examples that are attacked at the same time. Defaults to
            `256`.
        on_progress: Function that is called with the fraction of the attack that was
            completed since the previous call. Defaults to a function that does nothing.

    Returns:
        A float32 array with the shape of `x[rows]`. If no perturbation was found for an
        example, the example is unchanged.
    """
    points = x[rows].copy()
    if not len(rows):
        return points
    size = min(len(rows), batch_size)
    settings = {"low": bounds[0], "high": bounds[1], "steps": steps}
    allowed = np.ones(1, "float32") if mask is None else mask.astype("float32")
    search = classifier.compile(("minimal_norm", norm), _search(classifier, norm))
    for start in range(0, len(rows), size):
        # Batches of the same size are compiled only once.
        batch = np.resize(rows[start : start + size], size)
        found = np.asarray(
            ops.convert_to_numpy(search(x[batch], y[batch], allowed, settings))
        )
        part = points[start : start + size]
        part[:] = found[: len(part)]
        on_progress(len(part) / len(rows))
    return _shorten(classifier, x[rows], points, y[rows], batch_size)


def _search(classifier: Classifier, norm: str) -> Callable:
    """Returns the function that runs the attack on a batch."""

    def search(x, y, allowed, settings):
        low, high, steps = (settings[key] for key in ("low", "high", "steps"))
        low, high = ops.cast(low, "float32"), ops.cast(high, "float32")
        widest = norms.widest(norm, x.shape[1:], (0, 1))
        nothing = ops.zeros_like(ops.cast(y, "float32"))

        def step(index, state):
            points, radius, best, smallest = state
            margin, gradient = input_gradient(
                lambda points: objectives.margin(classifier.logits(points), y), points
            )
            finite = are_finite(margin, gradient)
            gradient = ops.where(norms.expand(finite, x), gradient, 0.0) * allowed
            length = _size(norm, points - x)
            is_fooled = finite & (margin > 0)
            better = is_fooled & (length < smallest)
            best = ops.where(norms.expand(better, x), points, best)
            smallest = ops.where(better, length, smallest)
            share = ops.cast(index, "float32") / ops.cast(steps, "float32")
            change = _anneal(RADIUS_CHANGES, share)
            # Until a point is adversarial, a linear model estimates the distance.
            slope = ops.maximum(_size(DUAL[norm], gradient), norms.TINY)
            estimate = length + ops.abs(margin) / slope
            larger = ops.where(ops.isfinite(smallest), radius, estimate) * (1 + change)
            smaller = ops.minimum(radius * (1 - change), smallest)
            radius = ops.where(is_fooled, smaller, larger)
            radius = ops.minimum(radius, widest * (high - low))
            size = _anneal(STEP_SIZES, share) * (high - low)
            moved = points + size * norms.direction("l2", gradient)
            moved = norms.project(norm, moved, x, norms.expand(radius, x), low, high)
            return moved, radius, best, smallest

        state = x, nothing, x, nothing + float("inf")
        # The last step only evaluates the last point.
        *_, best, _ = ops.fori_loop(0, steps + 1, step, state)
        return best

    return search


def _anneal(ends: tuple[float, float], share):
    """Decreases a setting from its first to its last value, along half a cosine."""
    first, last = ends
    return last + (first - last) * (1 + ops.cos(np.pi * share)) / 2


def _expand(values: np.ndarray, like: np.ndarray) -> np.ndarray:
    """Reshapes one value per example so that it broadcasts to the shape of `like`."""
    return values.reshape(-1, *(1 for _ in like.shape[1:]))


def _size(norm: str, delta):
    return ops.reshape(norms.norm_of(norm, delta), (-1,))


def _shorten(classifier, x, points, y, batch_size) -> np.ndarray:
    """Moves adversarial examples toward the inputs, as far as they remain adversarial.

    Points that are not adversarial are replaced by the inputs.
    """
    fooled = classifier.predict(points, batch_size) != y
    points = np.where(_expand(fooled, x), points, x)
    safe, unsafe = np.zeros(len(x), "float32"), np.ones(len(x), "float32")
    best = points
    for _ in range(HALVINGS):
        share = (safe + unsafe) / 2
        between = x + _expand(share, x) * (points - x)
        still = classifier.predict(between, batch_size) != y
        best = np.where(_expand(still, x), between, best)
        safe, unsafe = np.where(still, safe, share), np.where(still, share, unsafe)
    return best
