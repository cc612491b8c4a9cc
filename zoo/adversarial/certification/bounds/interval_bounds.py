"""Interval bounds: lower and upper bounds for the outputs of every operation.

See section 3 of Gowal et al., "On the Effectiveness of Interval Bound Propagation for
Training Verifiably Robust Models" (2018).
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from keras import ops

from . import operations
from .ball import Ball
from .network import Network

SMALLEST = 1e-30  # absolute error, which covers underflow
ELEMENTARY = 1e-12  # error of the hyperbolic tangent in float64
SCALE_STEPS = 8  # roundings in a normalization: root, quotient, products and sums
ELEMENTARY_ULPS = 16  # error of the model's own hyperbolic tangent and sigmoid


@dataclass(frozen=True)
class Bounds:
    """Bounds for the outputs of one operation, on the ball around each example.

    Args:
        lower: Tensor of shape `(batch, size)`: lower bounds in exact arithmetic.
        upper: Upper bounds.
        terms: Upper bounds for the sums of the absolute values of the terms that the
            operation adds. Rounding errors are proportional to these sums. Defaults to
            `None`: rounding is ignored.
        error: Upper bounds for the rounding error of the model, which computes with the
            precision of its layers. Defaults to `None`: rounding is ignored.
    """

    lower: Any
    upper: Any
    terms: Any = None
    error: Any = None

    @property
    def magnitude(self):
        """Upper bounds for the absolute values of the outputs."""
        return ops.maximum(ops.abs(self.lower), ops.abs(self.upper))

    def intersect(self, lower, upper) -> "Bounds":
        """Returns the tighter of these bounds and the given bounds."""
        lower = ops.maximum(self.lower, lower)
        upper = ops.minimum(self.upper, upper)
        return Bounds(lower, upper, self.terms, self.error)


class BoundPass:
    """Computes bounds for one batch.

    Args:
        network: The network.
        ball: The inputs.
        dtype: Dtype of the computation, which is that of the ball.
        with_rounding: Whether to widen the bounds by their own rounding errors, and to
            bound the rounding errors of the model. Defaults to `True`.
        weights: Parameters of all operations, as `network.read(dtype)` returns them.
            Defaults to `None`: they are read now.
    """

    def __init__(
        self,
        network: Network,
        ball: Ball,
        dtype: str,
        with_rounding: bool = True,
        weights: list[tuple] | None = None,
    ):
        self.network, self.ball, self.dtype = network, ball, dtype
        self.with_rounding = with_rounding
        self.weights = network.read(dtype) if weights is None else weights

    def rounding(self, count: int) -> float:
        """Returns the relative error of a bound that is computed from `count` terms.

        The factor of 4 covers the center, the radius and the widening of a bound, each
        of which is rounded.
        """
        return 4 * gamma(count, self.dtype)

    def intervals(self, index: int, before: list[Bounds]) -> Bounds:
        """Returns the interval bounds of one operation.

        Args:
            index: Index of the operation.
            before: The bounds of all operations before it.
        """
        operation = self.network.operations[index]
        inputs = [before[some] for some in operation.inputs]
        step = _STEPS[type(operation)]
        return step(self, operation, self.weights[index], *inputs)

    def _source(self, operation, weights):
        lower, upper = self.ball.box()
        if not self.with_rounding:
            return Bounds(lower, upper)
        size = ops.maximum(ops.abs(lower), ops.abs(upper))
        slack = self.rounding(1) * size + SMALLEST
        return Bounds(lower - slack, upper + slack, size + slack, ops.zeros_like(size))

    def _dense(self, operation, weights, x):
        kernel, bias = weights
        center, radius = (x.lower + x.upper) / 2, (x.upper - x.lower) / 2
        middle = ops.matmul(center, kernel) + bias
        if not self.with_rounding:
            spread = ops.matmul(radius, ops.abs(kernel))
            found = Bounds(middle - spread, middle + spread)
            return self._on_the_ball(found, operation, kernel, bias)
        parts = [radius, x.magnitude]
        if not self._is_first(operation):  # the inputs have no error
            parts.append(x.error)
        sums = ops.matmul(ops.concatenate(parts), ops.abs(kernel))
        spread, terms, *error = ops.split(sums, len(parts))
        error = error[0] if error else 0.0
        return self._with_errors(
            operation, middle, spread, terms + ops.abs(bias), error, kernel.shape[0]
        )

    def _on_the_ball(self, found: Bounds, operation, kernel, bias) -> Bounds:
        """Tightens the bounds of a first layer, since an l2 or l1 ball is no box.

        For training, which bounds every batch: only the norms of the kernel's columns
        are needed. `linear_bounds.ball_intervals`, for certificates, also uses the
        bounds of the inputs and the mask, which takes a backward pass.
        """
        if not self._is_first(operation) or self.ball.norm == "linf":
            return found
        middle = ops.matmul(self.ball.x, kernel) + bias
        change = self.ball.largest_change(kernel)
        return found.intersect(middle - change, middle + change)

    def _scale(self, operation, weights, x):
        scale, shift, shift_terms = weights
        center, radius = (x.lower + x.upper) / 2, (x.upper - x.lower) / 2
        middle, spread = center * scale + shift, radius * ops.abs(scale)
        if not self.with_rounding:
            return Bounds(middle - spread, middle + spread)
        terms = x.magnitude * ops.abs(scale) + shift_terms
        error = x.error * ops.abs(scale)
        return self._with_errors(operation, middle, spread, terms, error, SCALE_STEPS)

    def _sum(self, operation, weights, *inputs):
        lower = sum(some.lower for some in inputs)
        upper = sum(some.upper for some in inputs)
        if not self.with_rounding:
            return Bounds(lower, upper)
        terms = sum(some.magnitude for some in inputs)
        error = sum(some.error for some in inputs)
        middle, spread = (lower + upper) / 2, (upper - lower) / 2
        return self._with_errors(operation, middle, spread, terms, error, len(inputs))

    def _rectifier(self, operation, weights, x):
        (slope,) = weights
        lower, upper = (ops.maximum(v, slope * v) for v in (x.lower, x.upper))
        if not self.with_rounding:
            return Bounds(lower, upper)
        middle, spread = (lower + upper) / 2, (upper - lower) / 2
        # The output is slope * x + (1 - slope) * relu(x), and the error of the second
        # term is zero if x is certainly negative.
        reached = ops.maximum(x.upper + x.error, 0.0)
        error = slope * x.error + (1 - slope) * ops.minimum(x.error, reached)
        terms = ops.maximum(ops.abs(lower), ops.abs(upper))
        return self._with_errors(operation, middle, spread, terms, error, 1)

    def _tanh(self, operation, weights, x):
        lower, upper = ops.tanh(x.lower), ops.tanh(x.upper)
        if not self.with_rounding:
            return Bounds(lower, upper)
        error = x.error + ELEMENTARY_ULPS * float(np.finfo(operation.dtype).eps)
        return Bounds(
            lower - ELEMENTARY, upper + ELEMENTARY, ops.ones_like(lower), error
        )

    def _is_first(self, operation) -> bool:
        """Returns whether the input of an operation is that of the network."""
        (before,) = operation.inputs
        return isinstance(self.network.operations[before], operations.Source)

    def _with_errors(self, operation, middle, spread, terms, error, count) -> Bounds:
        """Adds the rounding errors of the bounds and of the model."""
        slack = self.rounding(count) * terms + SMALLEST
        # The inputs of the model's own computation already have errors.
        error = error + gamma(count, operation.dtype) * (terms + error) + SMALLEST
        return Bounds(middle - spread - slack, middle + spread + slack, terms, error)


def interval_bounds(run: BoundPass) -> list[Bounds]:
    """Returns the interval bounds of all operations."""
    bounds: list[Bounds] = []
    for index in range(len(run.network.operations)):
        bounds.append(run.intervals(index, bounds))
    return bounds


def gamma(count: int, dtype: str) -> float:
    """Returns the relative error of a sum of products, for any order of summation.

    For n terms and unit roundoff u, the error is at most n u / (1 - n u) times the sum
    of the absolute values of the terms (Higham, "Accuracy and Stability of Numerical
    Algorithms", 2002, sections 3.1 and 4.2). Eight operations are added to `count`, for
    what is done to the terms before and after the summation.
    """
    share = (count + 8) * float(np.finfo(dtype).eps) / 2
    return share / (1 - share)


_STEPS: dict[type, Callable] = {
    operations.Source: BoundPass._source,
    operations.Dense: BoundPass._dense,
    operations.Scale: BoundPass._scale,
    operations.Sum: BoundPass._sum,
    operations.Rectifier: BoundPass._rectifier,
    operations.Tanh: BoundPass._tanh,
}
