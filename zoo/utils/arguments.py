"""Argument checks that raise errors in a common format.

The messages state the name of the argument, the expected value, the received value and,
where possible, how to fix the call.
"""

import difflib
import math
from collections.abc import Iterable
from numbers import Integral, Real

MAX_LENGTH = 300  # characters of a received value in a message
MAX_PARTS = 4  # arrays of a list that a message describes


def invalid_argument(name: str, expected: str, received, fix: str = "") -> ValueError:
    """Creates an error for an invalid argument, to be raised by the caller.

    Args:
        name: Name of the argument in the public signature.
        expected: Description of a valid value, such as "a float in [0, 1)".
        received: The value that was passed.
        fix: Sentence that tells the user how to fix the call. Defaults to `""`: no
            sentence is added.

    Returns:
        A `ValueError` that states the name of the argument, the expected value and the
        received value.
    """
    message = (
        f"Invalid value for argument `{name}`. Expected {expected}. "
        f"Received: {name}={describe(received)}"
    )
    return ValueError(f"{message}\n{fix}" if fix else message)


def describe(value) -> str:
    """Returns the `repr` of a value, or a short description if it is long.

    Arrays and other objects with a shape are described by their type, shape and dtype,
    also in a list or tuple.
    """
    shape = getattr(value, "shape", None)
    if shape is not None and len(shape):
        dtype = getattr(value, "dtype", None)
        suffix = "" if dtype is None else f", dtype {dtype}"
        return f"<{type(value).__name__} of shape {tuple(shape)}{suffix}>"
    if isinstance(value, list | tuple) and any(map(is_array, value)):
        parts = ", ".join(map(describe, value[:MAX_PARTS]))
        more = ", ..." if len(value) > MAX_PARTS else ""
        return f"<{type(value).__name__} of {len(value)}> ({parts}{more})"
    text = repr(value)
    if len(text) <= MAX_LENGTH:
        return text
    size = f" of {len(value)}" if isinstance(value, list | tuple | dict | set) else ""
    return f"<{type(value).__name__}{size}> {text[: MAX_LENGTH // 2]}..."


def is_array(value) -> bool:
    """Returns whether `value` has a shape with at least one dimension."""
    return bool(getattr(value, "shape", ()))


def is_integer(value) -> bool:
    """Returns whether `value` is a Python or NumPy integer; booleans do not count."""
    return isinstance(value, Integral) and not isinstance(value, bool)


def is_number(value) -> bool:
    """Returns whether `value` is a finite real number; booleans do not count."""
    is_real = isinstance(value, Real) and not isinstance(value, bool)
    return is_real and math.isfinite(value)


def check_integer(name: str, value, minimum: int) -> int:
    """Returns `value` as an int; raises an error unless it is an integer >= `minimum`.

    Booleans and floats are rejected.
    """
    if not is_integer(value) or value < minimum:
        raise invalid_argument(name, f"an integer >= {minimum}", value)
    return int(value)


def check_fraction(name: str, value) -> float:
    """Returns `value` as a float; raises an error unless it is a number in [0, 1)."""
    if not is_number(value) or not 0 <= value < 1:
        raise invalid_argument(name, "a float in [0, 1)", value)
    return float(value)


def check_choice(name: str, value, choices: tuple):
    """Returns `value`; raises an error unless it is one of `choices`."""
    if value not in choices:
        listed = ", ".join(repr(choice) for choice in choices)
        raise invalid_argument(
            name, f"one of {listed}", value, close_match(value, choices)
        )
    return value


def close_match(value, choices: Iterable) -> str:
    """Returns the sentence "Did you mean ...?", or `""` if no choice resembles `value`.

    Args:
        value: Invalid value.
        choices: Valid values. Only strings are compared.
    """
    names = {choice.lower(): choice for choice in choices if isinstance(choice, str)}
    text = str(value).lower()
    found = [name for name in names if len(text) == 1 and name.endswith(text)]
    found = found or difflib.get_close_matches(text, names, n=1)
    found = found or [name for name in names if name.startswith(text) and text]
    return f"Did you mean {names[found[0]]!r}?" if found else ""


def check_positive(name: str, value) -> float:
    """Returns `value` as a float; raises an error unless it is a finite number > 0."""
    if not is_number(value) or value <= 0:
        raise invalid_argument(name, "a number > 0", value)
    return float(value)


def check_not_negative(name: str, value) -> float:
    """Returns `value` as a float; raises an error unless it is a finite number >= 0."""
    if not is_number(value) or value < 0:
        raise invalid_argument(name, "a number >= 0", value)
    return float(value)


def check_shape(name: str, value, *, allow_any_length: bool = False) -> tuple:
    """Returns a shape as a tuple of ints; raises an error if `value` is not a shape.

    Args:
        name: Name of the argument.
        value: Value to check.
        allow_any_length: Whether the first size may be `None`, for sequences of any
            length. Defaults to `False`.
    """
    is_sequence = isinstance(value, tuple | list)
    is_open = allow_any_length and is_sequence and len(value) > 0 and value[0] is None
    sizes = value[1:] if is_open else value
    if not is_sequence or not all(is_integer(size) and size >= 1 for size in sizes):
        also = ", the first of which may be None" if allow_any_length else ""
        raise invalid_argument(
            name, f"a tuple of integers >= 1{also}, without the batch dimension", value
        )
    return (*((None,) if is_open else ()), *(int(size) for size in sizes))
