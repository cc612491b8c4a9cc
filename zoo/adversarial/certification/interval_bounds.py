"""Intervals that hold everything a network can compute on a ball of inputs.

Gowal et al., "On the Effectiveness of Interval Bound Propagation for Training
Verifiably Robust Models" (2018), section 3.
"""

from dataclasses import dataclass

import numpy as np
from keras import ops

from . import operations
from .ball import Ball
from .network import Network

SMALLEST = 1e-30  # absolute errors, where values underflow
ELEMENTARY = 1e-12  # error of the hyperbolic tangent in float64
SCALE_STEPS = 8  # roundings of a normalization: its root, quotient, products, sums
ELEMENTARY_ULPS = 16  # of the hyperbolic tangent and the sigmoid of the model


@dataclass(frozen=True)
class Bounds:
    """What one operation computes, on the ball of every example.

    Args:
        lower: Tensor of shape `(batch, size)`: lower bounds, in exact arithmetic.
        upper: Upper bounds.
        terms: The largest sums of the absolute terms that the operation adds up, to
            which rounding errors are proportional; `None` where rounding is left out.
        error: How far the model, which computes with the precision of its layers, can
            be off from exact arithmetic; `None` where rounding is left out.
    """

    lower: object
    upper: object
    terms: object = None
    error: object = None

    @property
    def magnitude(self):
        return ops.maximum(ops.abs(self.lower), ops.abs(self.upper))

    def intersect(self, lower, upper) -> "Bounds":
        lower = ops.maximum(self.lower, lower)
        upper = ops.minimum(self.upper, upper)
        return Bounds(lower, upper, self.terms, self.error)


class BoundPass:
    """One computation of bounds, of a batch.

    Args:
        network: The network.
        ball: The inputs.
        dtype: Dtype to compute in: that of the ball.
        with_rounding: Whether bounds are moved outwards by the rounding errors of
            their own computation, and those of the model are bounded.
    """

    def __init__(
        self, network: Network, ball: Ball, dtype: str, with_rounding: bool = True
    ):
        self.network, self.ball, self.dtype = network, ball, dtype
        self.with_rounding = with_rounding
        self.weights = [some.read(dtype) for some in network.operations]

    def rounding(self, count: int) -> float:
        """Returns a relative error that covers a bound of so many terms.

        Four times that of the sum: a bound has a center, a radius and the slack that
        is computed here, each of which is rounded.
        """
        return 4 * gamma(count, self.dtype)

    def intervals(self, place: int, before: list[Bounds]) -> Bounds:
        """Returns the interval of one operation.

        Args:
            place: Place of the operation.
            before: The bounds of all operations before it.
        """
        operation = self.network.operations[place]
        inputs = [before[some] for some in operation.inputs]
        step = _STEPS[type(operation)]
        return step(self, operation, self.weights[place], *inputs)

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
            return Bounds(middle - spread, middle + spread)
        parts = ops.concatenate([radius, x.magnitude, x.error])
        spread, terms, error = ops.split(ops.matmul(parts, ops.abs(kernel)), 3)
        return self._with_errors(
            operation, middle, spread, terms + ops.abs(bias), error, kernel.shape[0]
        )

    def _scale(self, operation, weights, x):
        scale, shift, size_of_shift = weights
        center, radius = (x.lower + x.upper) / 2, (x.upper - x.lower) / 2
        middle, spread = center * scale + shift, radius * ops.abs(scale)
        if not self.with_rounding:
            return Bounds(middle - spread, middle + spread)
        terms = x.magnitude * ops.abs(scale) + size_of_shift
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
        return self._with_errors(operation, middle, spread, x.magnitude, x.error, 1)

    def _tanh(self, operation, weights, x):
        lower, upper = ops.tanh(x.lower), ops.tanh(x.upper)
        if not self.with_rounding:
            return Bounds(lower, upper)
        error = x.error + ELEMENTARY_ULPS * float(np.finfo(operation.dtype).eps)
        return Bounds(
            lower - ELEMENTARY, upper + ELEMENTARY, ops.ones_like(lower), error
        )

    def _with_errors(self, operation, middle, spread, terms, error, count) -> Bounds:
        """Adds rounding: that of the bounds, and that of the model."""
        slack = self.rounding(count) * terms + SMALLEST
        # The model rounds inputs that are off already.
        error = error + gamma(count, operation.dtype) * (terms + error) + SMALLEST
        return Bounds(middle - spread - slack, middle + spread + slack, terms, error)


def interval_bounds(run: BoundPass) -> list[Bounds]:
    """Returns the intervals of all operations."""
    bounds = []
    for place in range(len(run.network.operations)):
        bounds.append(run.intervals(place, bounds))
    return bounds


def gamma(count: int, dtype: str) -> float:
    """Returns the relative error of a sum of so many products, in any order.

    With n terms and unit roundoff u it is at most n u / (1 - n u) of the sum of the
    absolute terms (Higham, "Accuracy and Stability of Numerical Algorithms", 2002,
    sections 3.1 and 4.2). Eight operations are added, for what an operation does to
    its terms before and after.
    """
    share = (count + 8) * float(np.finfo(dtype).eps) / 2
    return share / (1 - share)


_STEPS = {
    operations.Source: BoundPass._source,
    operations.Dense: BoundPass._dense,
    operations.Scale: BoundPass._scale,
    operations.Sum: BoundPass._sum,
    operations.Rectifier: BoundPass._rectifier,
    operations.Tanh: BoundPass._tanh,
}
