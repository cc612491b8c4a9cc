"""Data in the arguments of `fit`."""

import functools
import inspect

import keras

from zoo.datasets import ArrayDataset
from zoo.datasets.origin import origin_of

FIT = tuple(inspect.signature(keras.Model.fit).parameters)[1:]
DATA = ("x", "y", "sample_weight", "validation_data")


def named_arguments(args: tuple, kwargs: dict) -> dict:
    """Returns the positional and keyword arguments of `fit` by name."""
    names = (*FIT, *(f"argument {i}" for i in range(len(FIT), len(args))))
    return {**dict(zip(names, args, strict=False)), **kwargs}


def made_data(args: tuple, kwargs: dict) -> tuple[tuple, dict]:
    """Calls the functions that stand for data, and starts orders of examples anew.

    Instead of data, users may pass a function without arguments that returns the data.
    It is called for each training run. The `Order` of a dataset from `zoo.datasets`
    starts anew, so that each training run uses the same orders, whichever training
    runs the process has done before.

    Args:
        args: Positional arguments of `fit`.
        kwargs: Keyword arguments of `fit`.

    Returns:
        The positional and keyword arguments of `fit`, with data.
    """
    made = tuple(
        _made(value) if name in DATA else value
        for name, value in named_arguments(args, {}).items()
    )
    named = {k: _made(value) if k in DATA else value for k, value in kwargs.items()}
    for value in (*made, *named.values()):
        order = _order_of(value)
        if order is not None:
            order.counter = 0
    return made, named


def _made(value):
    is_function = inspect.isroutine(value) or isinstance(value, functools.partial)
    return value() if is_function else value


def _order_of(value):
    if isinstance(value, ArrayDataset):
        return value.order
    origin = origin_of(value)
    return None if origin is None else origin.order
