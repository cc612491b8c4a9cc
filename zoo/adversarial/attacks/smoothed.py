"""A projected gradient descent attack on a smoothed model."""

import math

import numpy as np
from keras import ops

from ...differentiation import input_gradient
from .. import norms
from .pgd import PGD

DIRECTIONS = 8  # number of random directions in each step
WIDTHS = (1.0, 0.5, 0.25)  # smoothing width of each restart, relative to epsilon
TRAVEL = 5.0  # total length of all steps, relative to epsilon
CALLS_OF_RANDOM = 4  # calls to a stochastic model per step, with new random numbers


class Smoothed(PGD):
    """Follows the gradient of the objective, averaged over random nearby points.

    If a model rounds its inputs or activations, its gradient is zero or misleading. The
    average of the objective over a small neighborhood (at most epsilon in size) still
    has a useful gradient. The attack estimates this gradient as the sum of two terms:

    - The average gradient of the model at random points. For a stochastic model, the
      gradient is also averaged over several calls to the model, as in Athalye et al.,
      "Synthesizing Robust Adversarial Examples" (2018), equation 3.
    - The correlation between random directions and the actual changes in the objective
      along these directions. The changes are measured between antithetic pairs of
      points, as in Ilyas et al., "Black-box Adversarial Attacks with Limited Queries
      and Information" (2018), section 2.1.

    The first term is scaled by the fraction of the changes that it explains. The second
    term is computed from the remaining changes. For a smooth model, only the first term
    matters; for a model without gradients, only the second. For a stochastic model, the
    changes are mostly noise, so only the first term is used, unless it is zero. Each
    estimate is noisy, so every step follows the running sum of the estimates.

    The attack has no training mode.

    NOTE[DIFF] Athalye, Carlini & Wagner, "Obfuscated Gradients Give a False Sense of
    Security" (2018) replace the layer that masks gradients with a smooth layer (BPDA).
    This attack cannot know which layer to replace, so it smooths the whole model.

    Args:
        epsilon: Number >= 0, as in `PGD`.
        random: Whether the model is stochastic in inference mode. If so, each step
            averages over several calls to the model. The search always takes all steps
            and keeps the point with the largest objective, because a misclassification
            in a single call is not conclusive. Defaults to `False`.
        **settings: Other arguments of `PGD`, except `step_size`.
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
        """Returns the random numbers and the smoothing width of each search.

        Each row of the array belongs to one example. It contains noise for the starting
        point, random signs and the smoothing width.
        """
        start = super().noise(shape, restarts, examples)
        count = (DIRECTIONS + 1) * math.prod(shape) + self.steps
        signs = np.empty((len(examples), count), "float32")
        for row, restart, example in zip(signs, restarts, examples, strict=True):
            generator = np.random.default_rng(
                (self.seed, int(restart), int(example), 1)
            )
            row[:] = 2.0 * generator.integers(0, 2, row.size) - 1
        widths = np.take(WIDTHS, restarts, mode="wrap").astype("float32")
        return np.concatenate([start, signs, widths[:, None]], axis=1)

    def start(self, x, noise, settings):
        size = norms.noise_size(self.norm, x.shape[1:])
        return super().start(x, noise[:, :size], settings), noise[:, size:]

    def begin(self, start, settings):
        points, noise = start
        return points, ops.zeros_like(points), noise

    def step(self, index, state, loss, gradient, x, settings):
        points, total, noise = state
        gradient = gradient / ops.maximum(norms.norm_of("l2", gradient), norms.TINY)
        total = total + gradient
        (points,) = super().step(index, (points,), loss, total, x, settings)
        return points, total, noise

    def objective(self, logits_of, x, y, rank=0):
        y = ops.tile(ops.repeat(y, self._count()), [self._calls()])
        return super().objective(logits_of, x, y, rank)

    def _count(self) -> int:
        """Returns the number of points per example in one call to the model."""
        return 1 + 2 * DIRECTIONS // self._calls()

    def _calls(self) -> int:
        return CALLS_OF_RANDOM if self.random else 1

    def differentiate(self, logits_of, objective, state, index, scale, settings):
        points, _, noise = state
        moves = self._moves(points, noise, index, settings)
        losses, steps, changes, average, logits = self._compare_pairs(
            logits_of, objective, points, moves, scale, settings
        )
        gradient = _smoothed_gradient(steps, changes, average)
        if self.random:
            is_flat = norms.expand(norms.norm_of("linf", average) == 0, gradient)
            gradient = ops.where(is_flat, gradient, average)
        return losses, gradient, logits

    def _moves(self, points, noise, index, settings):
        """Returns random perturbations, of shape `(batch, DIRECTIONS, ...)`.

        Each perturbation is proportional to the elementwise product of two vectors of
        random signs. The first vector is fixed. The second vector is a sliding window
        over a longer sequence of random signs; it moves by one position in each step.
        Without a mask, the norm of each perturbation is the smoothing width; for l1,
        this is its l2 norm, because dense perturbations with a small l1 norm change no
        feature noticeably. The perturbations within a step are independent, and the
        perturbations of different steps are uncorrelated.
        """
        size = math.prod(points.shape[1:])
        signs = ops.reshape(noise[:, : DIRECTIONS * size], (-1, DIRECTIONS, size))
        index = ops.cast(ops.minimum(index, self.steps - 1), "int32")
        index = ops.broadcast_to(index, ops.shape(noise)[:1])
        window = DIRECTIONS * size + index[:, None] + ops.arange(size)[None]
        of_step = ops.take_along_axis(noise, window, axis=1)[:, None]
        width = noise[:, -1:, None] * settings["epsilon"]
        if self.norm != "linf":
            width = width / math.sqrt(size)
        moves = width * of_step * signs
        moves = ops.reshape(moves, (-1, DIRECTIONS, *points.shape[1:]))
        return moves * settings["mask"] if "mask" in settings else moves

    def _compare_pairs(self, logits_of, objective, points, moves, scale, settings):
        """Differentiates the objective at the points and at pairs of nearby points.

        A stochastic model is called several times, each time with different pairs. The
        model draws new random numbers in each call.

        Returns:
            A tuple:

            - the objective at the points;
            - the steps between the two points of each pair;
            - the changes in the objective along these steps;
            - the average gradient;
            - the logits at the points.

            Gradients and changes that are not finite are set to zero.
        """
        calls, count, shape = self._calls(), self._count(), points.shape[1:]
        moves = ops.reshape(moves, (-1, calls, DIRECTIONS // calls, *shape))
        moves = ops.moveaxis(moves, 1, 0)
        center = ops.repeat(points[None, :, None], calls, axis=0)
        around = ops.concatenate([center, center + moves, center - moves], axis=2)
        around = ops.clip(around, settings["low"], settings["high"])
        scales = ops.tile(ops.repeat(scale, count), [calls])

        def function(x):
            batches = ops.reshape(x, (calls, -1, *shape))
            logits = ops.concatenate([logits_of(batches[i]) for i in range(calls)])
            return objective(logits) * scales, logits

        values, gradients, logits = input_gradient(
            function, ops.reshape(around, (-1, *shape)), has_auxiliary=True
        )
        gradients = gradients / norms.expand(scales, gradients)
        gradients = ops.where(ops.isfinite(gradients), gradients, 0.0)
        gradients = ops.reshape(gradients, (calls, -1, count, *shape))
        values = ops.reshape(values / scales, (calls, -1, count))
        logits = ops.reshape(logits, (calls, -1, count, logits.shape[1]))
        ends, starts = ops.split(around[:, :, 1:], 2, axis=2)
        after, before = ops.split(values[:, :, 1:], 2, axis=2)
        changes = ops.where(ops.isfinite(after - before), after - before, 0.0)
        return (
            ops.mean(values[:, :, 0], axis=0),
            _joined(ends - starts),
            _joined(changes),
            ops.mean(gradients, axis=(0, 2)),
            logits[0, :, 0],
        )


def _joined(results):
    """Concatenates the results of all calls along the direction axis.

    Args:
        results: Tensor of shape `(calls, batch, directions per call, ...)`.
    """
    return ops.concatenate([results[i] for i in range(results.shape[0])], axis=1)


def _smoothed_gradient(steps, changes, gradient):
    """Returns the gradient of the smoothed objective.

    Args:
        steps: Tensor of shape `(batch, directions, ...)`: steps between the points
            of each pair.
        changes: Tensor of shape `(batch, directions)`: changes in the objective along
            the steps.
        gradient: Tensor of shape `(batch, ...)`: the average gradient.
    """
    axes = tuple(range(2, len(steps.shape)))
    promises = ops.sum(steps * gradient[:, None], axis=axes)
    explained = ops.sum(changes * promises, axis=1, keepdims=True) / ops.maximum(
        ops.sum(ops.square(promises), axis=1, keepdims=True), norms.TINY
    )
    explained = ops.clip(explained, 0.0, 1.0)
    rest = ops.reshape(
        changes - explained * promises, (-1, steps.shape[1], *[1] * len(axes))
    )
    rest = ops.sum(rest * steps, axis=1)
    # Without clipping or a mask, the expected sum of the outer products of the steps is
    # the identity matrix times this size.
    size = ops.sum(ops.mean(ops.square(steps), axis=axes), axis=1)
    rest = rest / norms.expand(ops.maximum(size, norms.TINY), rest)
    return norms.expand(explained[:, 0], gradient) * gradient + rest
