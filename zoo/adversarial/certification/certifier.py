"""Bounds of margins, compiled and batch by batch."""

import keras
import numpy as np
from keras import ops

from ...differentiation import compile_function, input_gradient
from .ball import Ball
from .interval_bounds import BoundPass, Bounds, interval_bounds
from .linear_bounds import crown_bounds, linear_intervals, margins, relax_all
from .network import Network
from .operations import Rectifier
from .relaxations import slope_range

DTYPE = "float64"
FIRST_STEP = 0.25  # of slopes, which are in [0, 1]
DECAY = 0.95


class Certifier:
    """Bounds the margins of examples, in float64.

    Args:
        model: The model, whose variables are read at every call.
        network: Its operations.
        norm: "linf", "l2" or "l1".
        bounds: The lowest and the highest value of an input.
        method: "ibp", "crown" or "alpha-crown".
        steps: Steps of the slopes of "alpha-crown".
    """

    def __init__(
        self,
        model: keras.Model,
        network: Network,
        norm: str,
        bounds: tuple[float, float],
        method: str,
        steps: int,
    ):
        self.network, self.norm, self.bounds = network, norm, bounds
        self.method, self.steps = method, steps
        self._margins = compile_function(self._compute_margins, model.variables)
        self._ascend = compile_function(self._compute_ascent, model.variables)

    def __call__(self, x: np.ndarray, rows: np.ndarray, epsilon: float) -> tuple:
        """Returns lower bounds and errors of the model, as float64 arrays.

        Args:
            x: Float64 array of shape `(batch, size)`.
            rows: Float64 array of shape `(batch, functions, num_outputs)`.
            epsilon: Radius of the ball.

        Returns:
            Two arrays of shape `(batch, functions)`.
        """
        epsilon = np.float64(epsilon)
        lower, error, intervals = self._margins(x, rows, epsilon)
        lower, error = ops.convert_to_numpy(lower), ops.convert_to_numpy(error)
        if self.method == "alpha-crown" and self._has_slopes():
            lower = self._optimize(x, rows, epsilon, intervals, lower)
        return lower, error

    def logits(self, x: np.ndarray) -> tuple:
        """Returns bounds of the outputs at the inputs, and the errors of the model."""
        ball = self._run(ops.convert_to_tensor(x), np.float64(0.0))
        last = interval_bounds(ball)[-1]
        return tuple(
            ops.convert_to_numpy(part) for part in (last.lower, last.upper, last.error)
        )

    def _compute_margins(self, x, rows, epsilon):
        run = self._run(x, epsilon)
        if self.method == "ibp":
            bounds = linear_intervals(run)
            relaxations = {}
        else:
            bounds = crown_bounds(run)
            relaxations = relax_all(run, bounds)
        lower, error = margins(run, bounds, relaxations, rows)
        intervals = [
            (some.lower, some.upper, some.terms, some.error) for some in bounds
        ]
        return lower, error, intervals

    def _optimize(self, x, rows, epsilon, intervals, lower):
        """Ascends the bounds in the slopes of lower lines, with Adam.

        Xu et al., "Fast and Complete: Enabling Complete Verification with Massively
        Parallel Incomplete Verifiers" (2021), section 3.1.
        """
        # NOTE[DIFF] The paper optimises the intervals before activations too. Here
        # they stay those of CROWN, which for one hidden layer are exact.
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
                for part in self._ascend(x, rows, epsilon, intervals, shares)
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

    def _compute_ascent(self, x, rows, epsilon, intervals, shares):
        run = self._run(x, epsilon)
        bounds = [Bounds(*some) for some in intervals]
        relaxations = relax_all(run, bounds)

        def total(shares):
            chosen = dict(relaxations)
            start = 0
            functions = rows.shape[1]
            shares = ops.reshape(shares, (x.shape[0], functions, -1))
            for place, before in zip(self._places(), self._rectified(), strict=True):
                size = self.network.operations[place].size
                share = shares[:, :, start : start + size]
                start += size
                least, largest = slope_range(run.weights[place][0], bounds[before])
                least, largest = least[:, None], largest[:, None]
                slope = ops.clip(least + share * (largest - least), least, largest)
                chosen[place] = chosen[place].with_lower_slope(slope)
            lower, _ = margins(run, bounds, chosen, rows)
            return ops.sum(lower, axis=1), lower

        _, gradient, lower = input_gradient(total, shares, has_auxiliary=True)
        return lower, gradient

    def _run(self, x, epsilon) -> BoundPass:
        ball = Ball(x, epsilon, self.norm, self.bounds)
        return BoundPass(self.network, ball, DTYPE)

    def _places(self) -> list[int]:
        return [
            place
            for place, operation in enumerate(self.network.operations)
            if isinstance(operation, Rectifier)
        ]

    def _rectified(self) -> list[int]:
        return [self.network.operations[place].inputs[0] for place in self._places()]

    def _has_slopes(self) -> bool:
        return bool(self._places())
