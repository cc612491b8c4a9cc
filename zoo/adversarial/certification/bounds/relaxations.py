"""Linear bounds for activations on intervals."""

from dataclasses import dataclass, replace
from typing import Any

from keras import ops

from . import operations
from .interval_bounds import ELEMENTARY, BoundPass, Bounds

BISECTIONS = 12  # for the point of a tangent; any slope gives a valid bound


@dataclass(frozen=True)
class Relaxation:
    """Two lines, below and above an activation, for each unit.

    Args:
        lower_slope: Tensor of shape `(batch, 1, size)`, or `(batch, functions, size)`
            if the slopes differ between the bounded functions: slope of the lower line.
        upper_slope: Slope of the upper line, of the same shape.
        lower_shift: Tensor of shape `(batch, size)`: intercept of the lower line.
        upper_shift: Intercept of the upper line.
        terms: Sums of the absolute values of the terms of the lines.
    """

    lower_slope: Any
    upper_slope: Any
    lower_shift: Any
    upper_shift: Any
    terms: Any

    def with_lower_slope(self, slope) -> "Relaxation":
        """Returns a copy with a different slope of the lower line."""
        return replace(self, lower_slope=slope)


def relax(run: BoundPass, index: int, x: Bounds) -> Relaxation:
    """Returns the lines for an activation, given the bounds of its input.

    All slopes are in [0, 1]. Any slope gives a valid bound, because the intercept of
    the line is computed from the slope and the interval. The slope determines only how
    tight the bound is.
    """
    if isinstance(run.network.operations[index], operations.Rectifier):
        lines = _rectifier(run, run.weights[index][0], x)
    else:
        lines = _tanh(x)
    lower_slope, lower_shift, upper_slope, upper_shift = lines
    terms = x.magnitude + ops.maximum(ops.abs(lower_shift), ops.abs(upper_shift))
    return Relaxation(
        lower_slope[:, None], upper_slope[:, None], lower_shift, upper_shift, terms
    )


def relax_all(run: BoundPass, bounds: list[Bounds]) -> dict[int, Relaxation]:
    """Returns the relaxations of all activations, with their indices as keys."""
    return {
        index: relax(run, index, bounds[operation.inputs[0]])
        for index, operation in enumerate(run.network.operations)
        if isinstance(operation, operations.ACTIVATIONS)
    }


def slope_range(slope, x: Bounds) -> tuple:
    """Returns the smallest and the largest slope of a rectifier's lower line.

    They are equal if the interval does not contain zero. Otherwise, each slope between
    them belongs to a valid lower line through the origin.
    """
    slope = slope + ops.zeros_like(x.lower)
    least = ops.where(x.lower >= 0, 1.0, slope)
    return least, ops.where(x.upper <= 0, slope, 1.0)


def _rectifier(run: BoundPass, slope, x: Bounds) -> tuple:
    least, largest = slope_range(slope, x)
    is_line = least == largest
    lower_slope = ops.where(x.upper > -x.lower, largest, least)
    width = ops.where(is_line, 1.0, x.upper - x.lower)
    chord = ops.clip((x.upper - slope * x.lower) / width, 0.0, 1.0)
    upper_slope = ops.where(is_line, least, chord)
    # The function is convex, so a line is above it if it is above it at both ends.
    shift = ops.maximum((slope - upper_slope) * x.lower, (1 - upper_slope) * x.upper)
    if run.with_rounding:
        shift = shift + run.rounding(1) * x.magnitude
    shift = ops.where(is_line, 0.0, shift)
    return lower_slope, ops.zeros_like(shift), upper_slope, shift


def _tanh(x: Bounds) -> tuple:
    upper_slope = _slope_above(x.lower, x.upper)
    lower_slope = _slope_above(-x.upper, -x.lower)
    upper_shift = _shift_above(upper_slope, x.lower, x.upper)
    lower_shift = -_shift_above(lower_slope, -x.upper, -x.lower)
    slack = 4 * ELEMENTARY * (1 + x.magnitude)
    return lower_slope, lower_shift - slack, upper_slope, upper_shift + slack


def _slope_above(lower, upper):
    """Returns the slope of a line above tanh: that of a tangent or of the chord.

    If the interval contains zero, the line is the tangent that intersects the function
    at the lower end, provided that it touches the function within the interval.
    """
    at_lower = ops.tanh(lower)
    width = upper - lower
    chord = (ops.tanh(upper) - at_lower) / ops.maximum(width, 1e-6)
    near, far = ops.zeros_like(upper), ops.maximum(upper, 0.0)
    for _ in range(BISECTIONS):
        point = (near + far) / 2
        is_before = ops.tanh(point) - at_lower < _derivative(point) * (point - lower)
        near, far = ops.where(is_before, point, near), ops.where(is_before, far, point)
    end = ops.maximum(upper, 0.0)
    reaches = ops.tanh(end) - at_lower >= _derivative(end) * (end - lower)
    tangent = ops.where(reaches, _derivative(far), chord)
    concave = _derivative((lower + upper) / 2)
    slope = ops.where(lower >= 0, concave, ops.where(upper <= 0, chord, tangent))
    return ops.clip(ops.where(width < 1e-6, concave, slope), 0.0, 1.0)


def _shift_above(slope, lower, upper):
    """Returns the maximum of tanh(x) - slope * x.

    The maximum is at an end of the interval, or where the derivative of tanh equals
    the slope.
    """
    root = ops.sqrt(ops.maximum(slope, 1e-30))
    turn = ops.log((1 + ops.sqrt(ops.maximum(1 - slope, 0.0))) / root)
    turn = ops.clip(turn, lower, upper)
    candidates = [ops.tanh(point) - slope * point for point in (lower, upper, turn)]
    return ops.maximum(ops.maximum(candidates[0], candidates[1]), candidates[2])


def _derivative(x):
    return 1 - ops.square(ops.tanh(x))
