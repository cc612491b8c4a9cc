"""Checks of arguments, raised with one wording: what, expected, received, fix."""

import math
from numbers import Integral, Real


def invalid_argument(name: str, expected: str, received, fix: str = "") -> ValueError:
    """Builds the error for a bad argument, for the caller to raise.

    Args:
        name: Name of the argument, as the user wrote it.
        expected: What would have been right, as in "a float in [0, 1)".
        received: The value that came.
        fix: A sentence that says what to do, where it is not obvious.

    Returns:
        A `ValueError` that says what, what was expected, and what came.
    """
    message = (
        f"Invalid value for argument `{name}`. Expected {expected}. "
        f"Received: {name}={received!r}"
    )
    return ValueError(f"{message}\n{fix}" if fix else message)


def is_integer(value) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value) -> bool:
    """Whether `value` is a finite real number; `True` and `False` are none."""
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def check_integer(name: str, value, minimum: int) -> int:
    """Returns `value` as an int, or raises if it is not an integer >= `minimum`."""
    if not is_integer(value) or value < minimum:
        raise invalid_argument(name, f"an integer >= {minimum}", value)
    return int(value)


def check_fraction(name: str, value) -> float:
    """Returns `value` as a float, or raises if it is not a number in [0, 1)."""
    if not is_number(value) or not 0 <= value < 1:
        raise invalid_argument(name, "a float in [0, 1)", value)
    return float(value)


def check_choice(name: str, value, choices: tuple):
    """Returns `value`, or raises if it is not one of `choices`."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise invalid_argument(name, f"one of {listed}", value)
    return value


def check_positive(name: str, value) -> float:
    """Returns `value` as a float, or raises if it is not a finite number > 0."""
    if not is_number(value) or value <= 0:
        raise invalid_argument(name, "a number > 0", value)
    return float(value)


def check_not_negative(name: str, value) -> float:
    """Returns `value` as a float, or raises if it is not a finite number >= 0."""
    if not is_number(value) or value < 0:
        raise invalid_argument(name, "a number >= 0", value)
    return float(value)


def check_shape(name: str, value) -> tuple[int, ...]:
    """Returns `value` as a tuple, or raises if it is not one of integers >= 1."""
    if not isinstance(value, tuple | list) or not all(
        is_integer(size) and size >= 1 for size in value
    ):
        raise invalid_argument(
            name, "a tuple of integers >= 1, without the batch dimension", value
        )
    return tuple(int(size) for size in value)
