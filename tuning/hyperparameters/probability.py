"""Conversion between the values of a hyperparameter and probabilities.

On a log scale, equal differences in probability correspond to equal ratios of values.
"""

import math
import numbers
from collections.abc import Sequence

import numpy as np
from keras_tuner.engine.hyperparameters import Float, HyperParameter, Int


def is_ordered(hp: HyperParameter) -> bool:
    """Returns whether the values of a hyperparameter are ordered."""
    return isinstance(hp, Float | Int) or getattr(hp, "ordered", False)


def is_constant(hp: HyperParameter) -> bool:
    """Returns whether a hyperparameter has only one value."""
    values = choices(hp)
    return values is not None and len(values) < 2


def choices(hp: HyperParameter) -> Sequence | None:
    """Returns all values of a hyperparameter in order, or `None` if it is continuous.

    Integers on a log scale without a step count as continuous, because there may be
    millions of values.
    """
    if isinstance(hp, Float | Int) and hp.step is None:
        return None
    return hp.values if isinstance(hp.values, Sequence) else list(hp.values)


def scale_of(hp: HyperParameter) -> str:
    """Returns the scale on which to plot values: "linear", "log" or "category"."""
    if not is_ordered(hp):
        return "category"
    values = choices(hp)
    if values is None or hasattr(hp, "sampling"):
        return "log" if hp.sampling == "log" else "linear"
    ratios = np.divide(values[1:], values[:-1]) if values[0] > 0 else [1, 2]
    return "log" if len(values) > 2 and np.ptp(ratios) < 1e-6 else "linear"


def finite_values(hp: HyperParameter) -> Sequence | None:
    """Returns all values of a hyperparameter, or `None` if it has infinitely many."""
    if isinstance(hp, Int) and hp.step is None:
        return range(hp.min_value, hp.max_value + 1)
    return choices(hp)


def to_probability(hp: HyperParameter, value) -> float:
    """Returns the position of a value in its range, expressed as a probability.

    This function is the inverse of `hp.prob_to_value`. For a continuous hyperparameter,
    it returns the probability that a random draw is smaller than the value. If there is
    a finite list of values, each value corresponds to an interval of probabilities, and
    the function returns the middle of that interval.

    Args:
        hp: Hyperparameter.
        value: Value of the hyperparameter.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: If the value is not one of the hyperparameter's values.

    Example:

    >>> import keras_tuner
    >>> from tuning.hyperparameters.probability import to_probability
    >>> rate = keras_tuner.engine.hyperparameters.Float(
    ...     "learning_rate", 1e-6, 10.0, sampling="log"
    ... )
    >>> round(to_probability(rate, 1e-3), 4)  # 3 of 7 decades
    0.4286
    """
    values = choices(hp)
    if values is None:
        if not hp.min_value <= value <= hp.max_value:
            raise ValueError(
                f"Expected a value from {hp.min_value} to {hp.max_value}. Received: "
                f"{hp.name}={value!r}"
            )
        return min(max(hp.value_to_prob(value), 0.0), 1.0)
    return (_index(hp, values, value) + 0.5) / len(values)


def own_value(hp: HyperParameter, value):
    """Converts a value to the type of its hyperparameter, for example 32.0 to 32.

    Raises:
        ValueError: If the value is not one of the hyperparameter's values.
    """
    values = finite_values(hp)
    if values is None:
        to_probability(hp, value)
        return value
    return values[_index(hp, values, value)]


def bounds_of(hp: HyperParameter) -> tuple:
    """Returns the values of an ordered hyperparameter at both ends of its range.

    The first value corresponds to the probability 0, and the second to 1 (see
    `to_probability`). With `sampling="reverse_log"` and a step, the first value is the
    maximum.
    """
    values = choices(hp)
    return (hp.min_value, hp.max_value) if values is None else (values[0], values[-1])


def to_values(hp: HyperParameter, range_: tuple[float, float]) -> tuple:
    """Converts a range of probabilities to the values at the two ends of the range."""
    first, last = bounds_of(hp)
    return (
        hp.prob_to_value(range_[0]) if range_[0] > 0 else first,
        hp.prob_to_value(range_[1]) if range_[1] < 1 else last,
    )


def _index(hp: HyperParameter, values: Sequence, value) -> int:
    """Returns the index of a value, with a tolerance for rounding errors of floats."""
    if isinstance(values, range):
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # `range` finds ints without iterating
        if isinstance(value, numbers.Integral) and int(value) in values:
            return values.index(int(value))
        expected = f"an integer from {values[0]} to {values[-1]}"
        if values.step > 1:
            expected += f" in steps of {values.step}"
        raise ValueError(f"Expected {expected}. Received: {hp.name}={value!r}")
    for index, choice in enumerate(values):
        if choice == value or (
            isinstance(choice, float) and math.isclose(choice, value, abs_tol=1e-12)
        ):
            return index
    raise ValueError(f"Expected one of {values}. Received: {hp.name}={value!r}")


def key_of(hp: HyperParameter) -> str:
    """Returns a unique key for a hyperparameter, built from its name and conditions."""
    conditions = [f"{each.name} in {each.values}" for each in hp.conditions]
    return " where ".join([hp.name, *conditions])
