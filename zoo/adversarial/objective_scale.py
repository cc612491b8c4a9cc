"""Scales of an objective, at which its gradient neither underflows nor overflows."""

from keras import ops

# The objective is multiplied by it, against underflow in float16; a power of two
# changes no direction and no bit of another. Where the gradient overflows, it is
# computed again with smaller scales.
SCALE = 1024.0
SMALLEST_SCALE = 2.0**-20


def first_scale(x):
    """Returns the scale of each example to begin with."""
    return ops.full(ops.shape(x)[:1], SCALE, dtype="float32")


def smaller_scale(scale, loss, gradient):
    """Returns the scale of each example to try next, where the gradient overflows."""
    overflows = ops.isfinite(loss) & ~are_finite(loss, gradient)
    return ops.where(overflows & (scale > SMALLEST_SCALE), scale / SCALE, scale)


def are_finite(loss, gradient):
    """Whether the objective and all of its gradient are finite, for each example."""
    axes = tuple(range(1, len(gradient.shape)))
    return ops.isfinite(loss) & ops.all(ops.isfinite(gradient), axis=axes)
