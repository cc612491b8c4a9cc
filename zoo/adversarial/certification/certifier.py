"""Compiled computation of the bounds of margins, for one batch at a time."""

import functools

import keras
import numpy as np
from keras import ops

from ...differentiation import compile_function, input_gradient
from .bounds.ball import Ball
from .bounds.interval_bounds import BoundPass, Bounds, interval_bounds
from .bounds.linear_bounds import ball_intervals, crown_bounds, margins
from .bounds.network import Network
from .bounds.operations import Rectifier
from .bounds.relaxations import relax_all, slope_range

DTYPE = "float64"
FIRST_STEP = 0.25  # step size for slopes, which are in [0, 1]
DECAY = 0.95


class Certifier:
    """Computes lower bounds for margins, in float64.

    Args:
        model: The model, whose variables are read only once.
        network: Its operations.
        norm: "linf", "l2" or "l1".
        bounds: Minimum and maximum allowed input values.
        method: "ibp", "crown" or "alpha-crown".
        steps: Number of optimization steps for the slopes of "alpha-crown".
        mask: Bool array of shape `(size,)`: the features that may change. Defaults to
            `None`: all features.
    """

    def __init__(
        self,
        model: keras.Model,
        network: Network,
        norm: str,
        bounds: tuple[float, float],
        method: str,
        steps: int,
        mask: np.ndarray | None = None,
    ):
        self.network, self.norm, self.bounds = network, norm, bounds
        self.method, self.steps, self.mask = method, steps, mask
        self._margins = compile_function(self._compute_margins, model.variables)
        self._ascend = compile_function(self._compute_ascent, model.variables)

    def __call__(self, x: np.ndarray, rows: np.ndarray, epsilon: float) -> tuple:
        """Returns lower bounds, and upper bounds for the rounding errors of the model.

        Args:
            x: Float64 array of shape `(batch, size)`.
            rows: Float64 array of shape `(batch, functions, num_outputs)`.
            epsilon: Radius of the ball.

        Returns:
            A tuple of two float64 arrays of shape `(batch, functions)`.
        """
        radius = np.float64(epsilon)
        lower, error, intervals = self._margins(x, rows, radius, self._weights)
        lower, error = ops.convert_to_numpy(lower), ops.convert_to_numpy(error)
        if self.method == "alpha-crown" and self._rectifiers():
            lower = self._optimize(x, rows, radius, intervals, lower)
        return lower, error

    def logits(self, x: np.ndarray) -> tuple:
        """Returns lower and upper bounds of the outputs at `x`, and rounding errors."""
        run = self._run(ops.convert_to_tensor(x), np.float64(0.0), self._weights)
        last = interval_bounds(run)[-1]
        return tuple(
            ops.convert_to_numpy(part) for part in (last.lower, last.upper, last.error)
        )

    @functools.cached_property
    def _weights(self) -> list[tuple]:
        """The parameters of all operations, in float64."""
        return self.network.read(DTYPE)

    def _compute_margins(self, x, rows, epsilon, weights):
        run = self._run(x, epsilon, weights)
        if self.method == "ibp":
            bounds, relaxations = ball_intervals(run), {}
        else:
            bounds, relaxations = crown_bounds(run)
        lower, error = margins(run, bounds, relaxations, rows)
        if relaxations:
            # Linear bounds of a few margins can be below their interval bounds.
            lower = ops.maximum(lower, margins(run, bounds, {}, rows)[0])
        intervals = [
            (some.lower, some.upper, some.terms, some.error) for some in bounds
        ]
        return lower, error, intervals

    def _optimize(self, x, rows, epsilon, intervals, lower):
        """Maximizes the bounds with respect to the slopes of lower lines, with Adam.

        See section 3.1 of Xu et al., "Fast and Complete: Enabling Complete Verification
        with Rapid and Massively Parallel Incomplete Verifiers" (2021).
        """
        # NOTE[DIFF] The paper also optimizes the slopes that determine the intervals of
        # the activations. Here, these intervals remain those of CROWN. With a single
        # hidden layer, they are exact on linf balls.
        shares = np.concatenate(
            [
                ops.convert_to_numpy(intervals[before][1] > -intervals[before][0])
                for before in self._rectified()
            ],
            axis=1,
        ).astype(DTYPE)
        shares = np.repeat(shares[:, None], rows.shape[1], axis=1)
        shares = shares.reshape(len(x), -1)
        first = second = np.zeros_like(shares)
        for step in range(self.steps):
            found, gradient = (
                ops.convert_to_numpy(part)
                for part in self._ascend(
                    x, rows, epsilon, self._weights, intervals, shares
                )
            )
            lower = np.fmax(lower, found)
            first = 0.9 * first + 0.1 * gradient
            second = 0.999 * second + 0.001 * gradient**2
            count = step + 1
            direction = (first / (1 - 0.9**count)) / (
                np.sqrt(second / (1 - 0.999**count)) + 1e-12
            )
            shares = np.clip(shares + FIRST_STEP * DECAY**step * direction, 0, 1)
        return lower

    def _compute_ascent(self, x, rows, epsilon, weights, intervals, shares):
        run = self._run(x, epsilon, weights)
        bounds = [Bounds(*some) for some in intervals]
        relaxations = relax_all(run, bounds)

        def total(shares):
            chosen = dict(relaxations)
            start = 0
            functions = rows.shape[1]
            shares = ops.reshape(shares, (x.shape[0], functions, -1))
            pairs = zip(self._rectifiers(), self._rectified(), strict=True)
            for index, before in pairs:
                size = self.network.operations[index].size
                share = shares[:, :, start : start + size]
                start += size
                least, largest = slope_range(run.weights[index][0], bounds[before])
                least, largest = least[:, None], largest[:, None]
                slope = ops.clip(least + share * (largest - least), least, largest)
                chosen[index] = chosen[index].with_lower_slope(slope)
            lower, _ = margins(run, bounds, chosen, rows)
            return ops.sum(lower, axis=1), lower

        _, gradient, lower = input_gradient(total, shares, has_auxiliary=True)
        return lower, gradient

    def _run(self, x, epsilon, weights) -> BoundPass:
        ball = Ball(x, epsilon, self.norm, self.bounds, self.mask)
        return BoundPass(self.network, ball, DTYPE, weights=weights)

    def _rectifiers(self) -> list[int]:
        """Returns the indices of all rectifiers."""
        return [
            index
            for index, operation in enumerate(self.network.operations)
            if isinstance(operation, Rectifier)
        ]

    def _rectified(self) -> list[int]:
        """Returns the indices of the operations whose outputs are rectified."""
        return [
            self.network.operations[index].inputs[0] for index in self._rectifiers()
        ]
