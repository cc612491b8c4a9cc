"""Projected gradient descent on a smoothed model."""

import math

import numpy as np
from keras import ops

from ..differentiation import input_gradient
from . import norms
from .pgd import PGD

DIRECTIONS = 8  # random ones, at each step
WIDTHS = (1.0, 0.5, 0.25)  # of the smoothing, relative to epsilon, one a restart
TRAVEL = 5.0  # of all steps together, relative to epsilon
CALLS_OF_RANDOM = 4  # of a random model, at each step: each is another draw


class Smoothed(PGD):
    """Steps along the gradient of the average of a model over random points.

    Where a model rounds, its own gradient is zero or misleads; that of the average
    over a neighbourhood of the width of epsilon does neither. It has two parts: the
    averaged gradients of the model (Athalye et al., "Synthesizing Robust Adversarial
    Examples" (2018), equation 3, which also averages over the draws of a random model),
    and the correlation of the real changes of the objective with random directions
    (Ilyas et al., "Black-box Adversarial Attacks with Limited Queries and Information"
    (2018), section 2.1, with antithetic pairs). The first is scaled to the share of
    the changes that it explains, and the second adds the rest: on a smooth model only
    the first counts, on one without gradients only the second. What a random model
    changes is mostly noise: there the first counts, unless it is zero. Steps follow the
    sum of all gradients so far, since each is noisy.

    NOTE[DIFF] Athalye, Carlini & Wagner, "Obfuscated Gradients Give a False Sense of
    Security" (2018) replace the layer that hides gradients by a smooth one (BPDA).
    Which layer that is cannot be known here, so the whole model is smoothed.

    Args:
        epsilon: Number >= 0, as in `PGD`.
        random: Whether the model is random in inference mode. Every step then asks
            several draws, and the search goes on to its end for the best objective:
            what one draw misclassifies means little. Defaults to `False`.
        **settings: What else `PGD` takes, but for `step_size`.
    """

    algorithm = "smoothed"
    points_per_step = 2 * DIRECTIONS + 1

    def __init__(self, epsilon: float, *, random: bool = False, **settings):
        super().__init__(epsilon, **settings)
        self.random = random

    def get_config(self) -> dict:
        return {**super().get_config(), "random": self.random}

    def _step_size(self) -> float:
        return TRAVEL * self.epsilon / self.steps

    def kind(self) -> tuple:
        return (*super().kind(), self.random, self.steps)

    def is_successful(self, logits, y):
        if self.random:
            return ops.zeros_like(y, dtype="bool")
        return super().is_successful(logits, y)

    def noise(self, shape, restarts: np.ndarray, examples: np.ndarray) -> np.ndarray:
        """Returns that of the start, then random signs, then the width."""
        start = super().noise(shape, restarts, examples)
        signs = (len(examples), (DIRECTIONS + self.steps) * math.prod(shape))
        signs = np.empty(signs, "float32")
        for row, restart, example in zip(signs, restarts, examples, strict=True):
            generator = np.random.default_rng(
                (self.seed, int(restart), int(example), 1)
            )
            row[:] = 2.0 * generator.integers(0, 2, row.size) - 1
        widths = np.take(WIDTHS, restarts, mode="wrap").astype("float32")
        return np.concatenate([start, signs, widths[:, None]], axis=1)

    def _start(self, x, noise, settings):
        size = norms.noise_size(self.norm, x.shape[1:])
        return super()._start(x, noise[:, :size], settings), noise[:, size:]

    def _begin(self, start, settings):
        points, noise = start
        return points, ops.zeros_like(points), noise

    def _step(self, index, state, loss, gradient, x, settings):
        points, total, noise = state
        gradient = gradient / ops.maximum(norms.norm_of("l2", gradient), norms.TINY)
        total = total + gradient
        (points,) = super()._step(index, (points,), loss, total, x, settings)
        return points, total, noise

    def _ascent(self, logits_of, objective, state, index, scale, settings):
        points, _, noise = state
        around = []
        for move in self._moves(points, noise, index, settings):
            for moved in (points + move, points - move):
                around.append(ops.clip(moved, settings["low"], settings["high"]))
        calls = CALLS_OF_RANDOM if self.random else 1
        share = len(around) // calls
        losses, values, gradients = [], [], []
        for call in range(calls):
            chosen = [points, *around[call * share : (call + 1) * share]]
            found, slopes, logits = _differentiate(logits_of, objective, chosen, scale)
            losses.append(found[0])
            values += found[1:]
            gradients += slopes
        loss = sum(losses) / calls
        average = sum(gradients) / len(gradients)
        gradient = _smoothed_gradient(around, values, average)
        if self.random:
            is_flat = norms.norm_of("linf", average) == 0
            gradient = ops.where(is_flat, gradient, average)
        return loss, gradient, logits

    def _moves(self, points, noise, index, settings) -> list:
        """Returns random steps of all features, by the width of the smoothing.

        Those of one step are independent, and of any two steps uncorrelated: the same
        signs at all steps, times signs of the step.
        """
        size = math.prod(points.shape[1:])
        index = ops.minimum(index, settings["steps"] - 1)
        index = ops.broadcast_to(ops.cast(index, "int32"), ops.shape(noise)[:1])
        places = (DIRECTIONS + index[:, None]) * size + ops.arange(size)[None]
        of_step = ops.take_along_axis(noise, places, axis=1)
        width = noise[:, -1:] * settings["epsilon"]
        if self.norm == "l2":
            width = width / math.sqrt(size)
        moves = []
        for first in range(0, DIRECTIONS * size, size):
            move = width * of_step * noise[:, first : first + size]
            move = ops.reshape(move, ops.shape(points))
            moves.append(move * settings["mask"] if "mask" in settings else move)
        return moves


def _differentiate(logits_of, objective, places, scale) -> tuple:
    """Returns objectives and gradients at several points in one call, as lists.

    The logits, which come third, are those at the first of them. What is not finite is
    zero in gradients.
    """
    count = len(places)

    def function(x):
        logits = ops.split(logits_of(x), count)
        values = [objective(some) * scale for some in logits]
        return ops.concatenate(values), logits[0]

    values, gradients, logits = input_gradient(
        function, ops.concatenate(places), has_auxiliary=True
    )
    expanded = norms.expand(scale, gradients)
    gradients = [some / expanded for some in ops.split(gradients, count)]
    gradients = [ops.where(ops.isfinite(some), some, 0.0) for some in gradients]
    return [some / scale for some in ops.split(values, count)], gradients, logits


def _smoothed_gradient(around, values, gradient):
    """Returns the gradient of the smoothed objective.

    Args:
        around: Tensors of shape `(batch, ...)`: pairs of opposite points.
        values: Tensors of shape `(batch,)`: the objective there.
        gradient: Tensor of shape `(batch, ...)`: the average gradient there.
    """
    axes = tuple(range(1, len(gradient.shape)))
    steps = [a - b for a, b in zip(around[::2], around[1::2], strict=True)]
    changes = [a - b for a, b in zip(values[::2], values[1::2], strict=True)]
    changes = [ops.where(ops.isfinite(change), change, 0.0) for change in changes]
    promises = [ops.sum(step * gradient, axis=axes) for step in steps]
    explained = sum(a * b for a, b in zip(changes, promises, strict=True))
    explained = explained / ops.maximum(sum(map(ops.square, promises)), norms.TINY)
    explained = ops.clip(explained, 0.0, 1.0)
    rest = sum(
        norms.expand(change - explained * promise, step) * step
        for change, promise, step in zip(changes, promises, steps, strict=True)
    )
    # The mean of `step * step` is the identity times this, where no bounds clip.
    size = sum(ops.mean(ops.square(step), axis=axes) for step in steps)
    rest = rest / norms.expand(ops.maximum(size, norms.TINY), rest)
    return norms.expand(explained, gradient) * gradient + rest
