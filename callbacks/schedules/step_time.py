"""Converts step numbers to schedule time."""

from keras import ops


def time_of_step(step, steps_per_unit: int):
    """Converts a step number to schedule time.

    If the unit is an epoch, the time is epoch + batch / steps per epoch. The first step
    of a unit is always converted to a whole number, even if a compiler replaces the
    division with a multiplication by the rounded reciprocal.

    Args:
        step: Step number, an integer tensor or variable, counted from 0.
        steps_per_unit: Integer >= 1, the number of steps per unit of time.

    Returns:
        A float32 tensor.
    """
    step = ops.convert_to_tensor(step)
    units = step // steps_per_unit
    rest = ops.cast(step - units * steps_per_unit, "float32")
    return ops.cast(units, "float32") + rest / steps_per_unit
