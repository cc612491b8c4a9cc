"""Checks of the callbacks that take part in a training run that can be resumed."""

import warnings

import keras

from zoo.utils.arguments import invalid_argument

from ..rate_readers import RateReader
from .callback_state import has_own_state

REFUSED = {
    keras.callbacks.BackupAndRestore: "BackupAndRestore restarts the epoch, and would "
    "overwrite the resumed weights. ResumeTraining replaces it.",
}
STATEFUL = (
    keras.callbacks.CSVLogger,
    keras.callbacks.EarlyStopping,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.TensorBoard,
)


def check_callbacks(callbacks) -> list[keras.callbacks.Callback]:
    """Returns the callbacks as a list; raises an error if one cannot be resumed."""
    callbacks = keras.tree.flatten(callbacks)
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            expected = "a list of keras.callbacks.Callback"
            raise invalid_argument("callbacks", expected, callback)
    _check_none_is_refused(callbacks)
    return callbacks


def check_others(callbacks: list, resume: keras.callbacks.Callback) -> None:
    """Warns about callbacks outside of `ResumeTraining` whose state is not saved.

    Args:
        callbacks: All callbacks of `fit`.
        resume: The `ResumeTraining` among them.
    """
    others = [_unwrapped(callback) for callback in callbacks if callback is not resume]
    if any(isinstance(other, type(resume)) for other in others):
        raise invalid_argument("callbacks", "one ResumeTraining", callbacks)
    _check_none_is_refused(others)
    lost = [other for other in others if _is_stateful(other)]
    names = [type(other).__name__ for other in lost if other not in added_by_fit(lost)]
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
        if _package_of(callback) == "zoo" and has_own_state(callback)
    ]


def _check_none_is_refused(callbacks: list) -> None:
    for callback in callbacks:
        for refused, reason in REFUSED.items():
            if isinstance(callback, refused):
                expected = f"no {refused.__name__}"
                raise invalid_argument("callbacks", expected, callback, reason)


def _unwrapped(callback):
    return callback.callback if isinstance(callback, RateReader) else callback


def _is_stateful(callback) -> bool:
    is_ours = _package_of(callback) == _package_of(RateReader)
    return is_ours or has_own_state(callback) or isinstance(callback, STATEFUL)


def _package_of(thing) -> str:
    return getattr(thing, "__module__", "").partition(".")[0]
