"""Linear bounds of activations on intervals."""

from dataclasses import dataclass, replace

from keras import ops

from . import operations
from .interval_bounds import ELEMENTARY, BoundPass, Bounds

BISECTIONS = 12  # of a tangent's point: any slope is sound, and this one is good


@dataclass(frozen=True)
class Relaxation:
    """Two lines around an activation: tensors of shape `(batch, 1, size)`.

    Slopes may also differ by function, of shape `(batch, functions, size)`. `terms`
    are the largest absolute terms of the lines, of shape `(batch, size)`.
    """

    lower_slope: object
    lower_shift: object
    upper_slope: object
    upper_shift: object
    terms: object

    def with_lower_slope(self, slope) -> "Relaxation":
        """Returns the same with another slope of the lower line."""
        return replace(self, lower_slope=slope)


def relax(run: BoundPass, place: int, x: Bounds) -> Relaxation:
    """Returns the lines of an activation, given the bounds of its input.

    Slopes are in [0, 1]. Every slope is sound, since the shift of its line is found
    on the interval; how good the bounds are depends on it.
    """
    if isinstance(run.network.operations[place], operations.Rectifier):
        lines = _rectifier(run, run.weights[place][0], x)
    else:
        lines = _tanh(x)
    terms = x.magnitude + ops.maximum(ops.abs(lines[1]), ops.abs(lines[3]))
    return Relaxation(*(line[:, None] for line in lines), terms)


def slope_range(slope, x: Bounds) -> tuple:
    """Returns the least and the largest slope of a rectifier's lower line.

    They are equal where the interval does not hold zero; elsewhere every slope
    between them makes a lower bound that passes through zero.
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
    # The function is convex: a line is above it if it is so at both ends.
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
    """The slope of a line above tanh: of a tangent, or of the chord.

    Where the interval holds zero, it is the tangent that starts on the function at
    the lower end, if it touches within the interval.
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
    """The maximum of tanh(x) - slope * x: at an end, or where the derivative is it."""
    root = ops.sqrt(ops.maximum(slope, 1e-30))
    turn = ops.log((1 + ops.sqrt(ops.maximum(1 - slope, 0.0))) / root)
    turn = ops.clip(turn, lower, upper)
    candidates = [ops.tanh(point) - slope * point for point in (lower, upper, turn)]
    return ops.maximum(ops.maximum(candidates[0], candidates[1]), candidates[2])


def _derivative(x):
    return 1 - ops.square(ops.tanh(x))
