"""Checks of the callbacks that take part in a training run that can be resumed."""

import warnings

import keras

from zoo.utils.arguments import invalid_argument

from ..rate_readers import RateReader
from .callback_state import has_own_state, has_state

REFUSED = {
    keras.callbacks.BackupAndRestore: "BackupAndRestore restarts the epoch, and would "
    "overwrite the resumed weights. ResumeTraining replaces it.",
}
STATELESS = (
    keras.callbacks.History,  # its state is saved
    keras.callbacks.ProgbarLogger,
    keras.callbacks.TerminateOnNaN,
)


def check_callbacks(callbacks) -> list[keras.callbacks.Callback]:
    """Returns the callbacks as a list; raises an error if one cannot be resumed."""
    callbacks = keras.tree.flatten(callbacks)
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            expected = "a list of keras.callbacks.Callback"
            is_class = isinstance(callback, type)
            fix = f"Pass an instance: `{callback.__name__}(...)`." if is_class else ""
            raise invalid_argument("callbacks", expected, callback, fix)
    _check_none_is_refused(callbacks)
    for callback in callbacks:
        is_log = isinstance(callback, keras.callbacks.CSVLogger)
        if is_log and "://" in str(callback.filename):
            expected = "a CSVLogger that writes to a local file"
            raise invalid_argument("callbacks", expected, callback.filename)
    return callbacks


def check_others(callbacks: list, resume: keras.callbacks.Callback) -> None:
    """Warns about callbacks outside of `ResumeTraining`, whose state is not saved.

    Args:
        callbacks: All callbacks of `fit`.
        resume: The `ResumeTraining` among them.
    """
    others = [_unwrapped(callback) for callback in callbacks if callback is not resume]
    if any(isinstance(other, type(resume)) for other in others):
        raise invalid_argument("callbacks", "one ResumeTraining", callbacks)
    _check_none_is_refused(others)
    for callback in resume.callbacks:
        if any(callback is other for other in others):
            expected = "callbacks that are not also passed to `fit`"
            raise invalid_argument("callbacks", expected, callback)
    names = [
        type(other).__name__
        for other in others
        if not isinstance(other, STATELESS)
        and not _is_of_zoo(other)
        and has_state(other)
    ]
    if names:
        warnings.warn(
            f"The state of {', '.join(names)} will be lost when training is resumed. "
            "Pass these callbacks to ResumeTraining as `callbacks=[...]` instead of "
            "passing them to `fit`.",
            stacklevel=2,
        )


def added_by_fit(callbacks: list) -> list:
    """Returns the callbacks with a state that the `fit` of a model of `zoo` adds.

    The user cannot pass these callbacks to `ResumeTraining`.

    Args:
        callbacks: All callbacks of `fit`.
    """
    return [
        callback
        for callback in callbacks
        if _is_of_zoo(callback) and has_own_state(callback)
    ]


def _check_none_is_refused(callbacks: list) -> None:
    for callback in callbacks:
        for refused, reason in REFUSED.items():
            if isinstance(callback, refused):
                expected = f"no {refused.__name__}"
                raise invalid_argument("callbacks", expected, callback, reason)


def _unwrapped(callback):
    return callback.callback if isinstance(callback, RateReader) else callback


def _is_of_zoo(callback) -> bool:
    """Returns whether the `fit` of a model of `zoo` has added a callback."""
    return type(callback).__module__.startswith("zoo.")
