"""Callbacks that log `optimizer.learning_rate`, under a schedule of ours."""

import contextlib
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import keras

from .train_step.common import patched


class RateReader:
    """Stands for a callback that reads rates, and lets it read the scheduled ones.

    While a hook of the callback runs, the optimizers say the rate that they used
    last; at all other times they say the float that they were compiled with, which
    `ReduceLROnPlateau` and others read and set.

    Args:
        callback: Callback that reads rates and sets none.
        used_rates: Function that returns pairs of an optimizer and its rate.
    """

    def __init__(self, callback: keras.callbacks.Callback, used_rates: Callable):
        self.callback = callback
        self._used_rates = used_rates

    def __getattr__(self, name: str):
        attribute = getattr(self.callback, name)
        if not name.startswith("on_"):
            return attribute

        def hook(*args, **kwargs):
            with contextlib.ExitStack() as stack:
                for optimizer, rate in self._used_rates():
                    says = {"_get_current_learning_rate": lambda rate=rate: rate}
                    stack.enter_context(patched(optimizer, **says))
                return attribute(*args, **kwargs)

        return hook


def show_rates(callback: keras.callbacks.Callback, used_rates: Callable) -> None:
    """Replaces the readers of rates in the list that a callback is in.

    Args:
        callback: Callback, of which a hook is being called by the list.
        used_rates: Function that returns pairs of an optimizer and its rate.
    """
    callbacks = _list_of(callback)
    for index, other in enumerate(callbacks):
        if _reads_rates(other):
            callbacks[index] = RateReader(other, used_rates)


def hide_rates(callback: keras.callbacks.Callback) -> None:
    """Puts back what `show_rates` has replaced."""
    callbacks = _list_of(callback)
    for index, other in enumerate(callbacks):
        if isinstance(other, RateReader):
            callbacks[index] = other.callback


def _reads_rates(callback) -> bool:
    is_wandb = type(callback).__module__.partition(".")[0] == "wandb"
    return is_wandb or isinstance(callback, keras.callbacks.TensorBoard)


def _list_of(callback) -> list:
    """The callbacks of the `CallbackList` that is calling, or none.

    Keras does not tell a callback which others there are, so it is looked up among
    the callers.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        caller: Any = frame.f_locals.get("self")
        is_list = isinstance(caller, keras.callbacks.CallbackList)
        if is_list and any(one is callback for one in caller.callbacks):
            return caller.callbacks
        frame = frame.f_back
    return []
