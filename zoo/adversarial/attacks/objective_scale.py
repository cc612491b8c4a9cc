"""Scale factors that prevent underflow and overflow of an objective's gradient."""

from keras import ops

# The objective is multiplied by SCALE to prevent underflow in float16. Multiplying by a
# power of two adds no rounding error, so the direction of the gradient does not change.
# If the gradient overflows, it is computed again with a smaller scale.
SCALE = 1024.0
SMALLEST_SCALE = 2.0**-20


def first_scale(x):
    """Returns the initial scale of the objective for each example."""
    return ops.full(ops.shape(x)[:1], SCALE, dtype="float32")


def smaller_scale(scale, loss, gradient):
    """Returns the scales, reduced for the examples whose gradient overflows."""
    overflows = ops.isfinite(loss) & ~are_finite(loss, gradient)
    return ops.where(overflows & (scale > SMALLEST_SCALE), scale / SCALE, scale)


def are_finite(loss, gradient):
    """Returns, for each example, whether the objective and the gradient are finite."""
    axes = tuple(range(1, len(gradient.shape)))
    return ops.isfinite(loss) & ops.all(ops.isfinite(gradient), axis=axes)
