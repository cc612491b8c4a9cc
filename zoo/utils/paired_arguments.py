"""A decorator of functions that take inputs and labels as one argument."""

import functools
import itertools
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from .arguments import is_array

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Function = Callable[Parameters, Result]


def takes_pair(usage: str) -> Callable[[Function], Function]:
    """Makes a function explain that inputs and labels are one argument.

    Otherwise, labels that are passed as the next argument would be reported as an
    invalid value of it, or as one positional argument too many.

    Args:
        usage: A correct call, which the error shows.

    Returns:
        A decorator. The function raises a `TypeError` if an array is followed by
        another array or a list.
    """

    def decorate(function: Function) -> Function:
        @functools.wraps(function)
        def checked(*arguments, **options):
            for first, second in itertools.pairwise(arguments):
                if is_array(first) and (is_array(second) or isinstance(second, list)):
                    raise TypeError(
                        f"`{function.__name__}` takes inputs and labels as one "
                        f"argument. Use: {usage}"
                    )
            return function(*arguments, **options)

        return checked

    return decorate
