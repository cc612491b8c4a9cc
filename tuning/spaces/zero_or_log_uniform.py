"""Hyperparameter whose value is either zero or log-uniform."""

import keras_tuner

from zoo.utils.arguments import invalid_argument, is_number

from ..hyperparameters.drawn_hyperparameters import check_range


def zero_or_log_uniform(
    hp: keras_tuner.HyperParameters,
    name: str,
    low: float,
    high: float,
    *,
    default: float = 0.0,
) -> float:
    """Returns zero in half of the trials, and a log-uniform value in the other half.

    A log scale excludes zero, so a search on a log scale cannot turn off a feature.
    This function declares two hyperparameters: the boolean `use_{name}`, and `name`,
    which is active only if the boolean is true.

    Args:
        hp: Hyperparameters that are passed to `build`.
        name: Name of the hyperparameter.
        low: Number > 0, the lower bound of the nonzero values.
        high: Number > `low`, the upper bound of the nonzero values.
        default: 0, or a number from `low` to `high`. Defaults to `0.0`.

    Returns:
        A float.

    Raises:
        ValueError: If the range is invalid or does not contain the default.

    Example:

    >>> import keras_tuner
    >>> from tuning import zero_or_log_uniform
    >>> hp = keras_tuner.HyperParameters()
    >>> zero_or_log_uniform(hp, "weight_decay", 1e-4, 1.0)
    0.0
    >>> hp.values["use_weight_decay"], hp.values["weight_decay"] = True, 0.1
    >>> zero_or_log_uniform(hp, "weight_decay", 1e-4, 1.0)
    0.1
    """
    for bound, value in (("low", low), ("high", high)):
        if not is_number(value) or value <= 0:
            fix = "Zero is always included in addition to the range."
            raise invalid_argument(bound, f"a number > 0 for '{name}'", value, fix)
    check_range(name, low, high, "log")
    if not is_number(default) or (default != 0 and not low <= default <= high):
        expected = f"0, or a number from {low:g} to {high:g}, for '{name}'"
        raise invalid_argument("default", expected, default)
    flag = f"use_{name}"
    is_used = hp.Boolean(flag, default=default != 0)
    with hp.conditional_scope(flag, [True]):
        value = hp.Float(
            name, float(low), float(high), sampling="log", default=default or float(low)
        )
    return value if is_used else 0.0
