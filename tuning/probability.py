"""Where a value lies in its range, as a probability: log scales stay logarithmic."""

import math
import numbers
from collections.abc import Sequence

from keras_tuner.engine import hyperparameters as kt


def is_ordered(hp: kt.HyperParameter) -> bool:
    """Whether the values of a hyperparameter have an order, so that it has a range."""
    return isinstance(hp, kt.Float | kt.Int) or getattr(hp, "ordered", False)


def is_constant(hp: kt.HyperParameter) -> bool:
    """Whether a hyperparameter has but one value."""
    values = choices(hp)
    return values is not None and len(values) < 2


def choices(hp: kt.HyperParameter) -> Sequence | None:
    """Returns all values of a hyperparameter in order, `None` if it is continuous.

    Integers without a step on a log scale, of which there may be millions, count as
    continuous.
    """
    if isinstance(hp, kt.Float | kt.Int) and hp.step is None:
        return None
    return hp.values if isinstance(hp.values, Sequence) else list(hp.values)


def finite_values(hp: kt.HyperParameter) -> Sequence | None:
    """Returns all values of a hyperparameter, `None` if there is no end of them."""
    if isinstance(hp, kt.Int) and hp.step is None:
        return range(hp.min_value, hp.max_value + 1)
    return choices(hp)


def to_probability(hp: kt.HyperParameter, value) -> float:
    """Returns the share of a hyperparameter's draws that lie below a value.

    `hp.prob_to_value` is the way back. A value of few has the middle of its share.

    Args:
        hp: Hyperparameter.
        value: One of its values.

    Returns:
        A float in [0, 1].

    Raises:
        ValueError: If the value is none of the hyperparameter's.

    Example:

    >>> import keras_tuner
    >>> from tuning.probability import to_probability
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


def own_value(hp: kt.HyperParameter, value):
    """Returns a value as the hyperparameter has it: 32 for 32.0, if it is an integer.

    Raises:
        ValueError: If the value is none of the hyperparameter's.
    """
    values = finite_values(hp)
    if values is None:
        to_probability(hp, value)
        return value
    return values[_index(hp, values, value)]


def bounds_of(hp: kt.HyperParameter) -> tuple:
    """Returns the lowest and the highest value of a hyperparameter with an order."""
    values = choices(hp)
    return (hp.min_value, hp.max_value) if values is None else (values[0], values[-1])


def to_values(hp: kt.HyperParameter, range_: tuple[float, float]) -> tuple:
    """Returns the values at the two ends of a range of probabilities."""
    low, high = bounds_of(hp)
    return (
        hp.prob_to_value(range_[0]) if range_[0] > 0 else low,
        hp.prob_to_value(range_[1]) if range_[1] < 1 else high,
    )


def _index(hp: kt.HyperParameter, values: Sequence, value) -> int:
    """The place of a value; a float may differ by its rounding."""
    if isinstance(values, range):
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # for which a range does not go through its numbers
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


def key_of(hp: kt.HyperParameter) -> str:
    """Returns what tells a hyperparameter from all others: its name and conditions."""
    conditions = [f"{each.name} in {each.values}" for each in hp.conditions]
    return " where ".join([hp.name, *conditions])
