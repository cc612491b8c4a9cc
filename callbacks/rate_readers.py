"""Lets callbacks that log `optimizer.learning_rate` read the scheduled value."""

import contextlib
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import keras

from zoo.backend.keras_internals import learning_rate_attributes, patched

from .callback_group import CallbackGroup


class RateReader:
    """Wraps a callback so that it reads the scheduled learning rates.

    While a hook of the callback runs, `optimizer.learning_rate` is the last scheduled
    value that the optimizer used. At all other times, `optimizer.learning_rate` is the
    unscheduled float, which `ReduceLROnPlateau` and other callbacks read and set.

    Args:
        callback: Callback that reads learning rates, but does not set them.
        used_rates: Function that returns `(optimizer, learning_rate)` pairs.
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
                    attributes = learning_rate_attributes(lambda rate=rate: rate)
                    stack.enter_context(patched(optimizer, **attributes))
                return attribute(*args, **kwargs)

        return hook


def show_rates(callback: keras.callbacks.Callback, used_rates: Callable) -> None:
    """Wraps all callbacks of the current call to `fit` that log learning rates.

    Args:
        callback: Callback that `fit` is currently calling.
        used_rates: Function that returns `(optimizer, learning_rate)` pairs.
    """
    for callbacks in _lists_of(callback):
        for index, other in enumerate(callbacks):
            if _reads_rates(other):
                callbacks[index] = RateReader(other, used_rates)


def hide_rates(callback: keras.callbacks.Callback) -> None:
    """Restores the callbacks that `show_rates` wrapped."""
    for callbacks in _lists_of(callback):
        for index, other in enumerate(callbacks):
            if isinstance(other, RateReader):
                callbacks[index] = other.callback


def _reads_rates(callback) -> bool:
    is_wandb = type(callback).__module__.partition(".")[0] == "wandb"
    return is_wandb or isinstance(callback, keras.callbacks.TensorBoard)


def _lists_of(callback) -> list[list]:
    """Returns the lists of callbacks in the current call to `fit`.

    These are the callbacks of the `CallbackList` that is calling `callback`, and the
    callbacks that a `ResumeTraining` among them calls. If no `CallbackList` is calling
    `callback`, the result is empty.

    Keras does not give a callback access to the other callbacks, so the list is looked
    up in the call stack.
    """
    frame: FrameType | None = sys._getframe()
    while frame is not None:
        caller: Any = frame.f_locals.get("self")
        if isinstance(caller, keras.callbacks.CallbackList):
            nested = [
                one.called for one in caller.callbacks if isinstance(one, CallbackGroup)
            ]
            lists = [caller.callbacks, *nested]
            if any(one is callback for callbacks in lists for one in callbacks):
                return lists
        frame = frame.f_back
    return []
