"""The time of a training step, in the unit of a schedule."""

from keras import ops


def time_of_step(step, steps_per_unit: int):
    """Returns the time of a step, in units: epoch + batch / steps.

    The beginning of a unit comes out as a whole number, also where a compiler turns
    a division into a product with the rounded inverse.

    Args:
        step: Integer tensor or variable, counted from 0.
        steps_per_unit: Integer >= 1.

    Returns:
        A float32 tensor.
    """
    step = ops.convert_to_tensor(step)
    units = step // steps_per_unit
    rest = ops.cast(step - units * steps_per_unit, "float32")
    return ops.cast(units, "float32") + rest / steps_per_unit
