"""The state of callbacks: their own, Keras' and the user's."""

import contextlib
import os
import pickle
import warnings
from pathlib import Path

import keras
import numpy as np

from zoo.arguments import invalid_argument
from zoo.files import replacing

NOT_STATE = ("params", "_model", "model")
REFUSED = {
    keras.callbacks.BackupAndRestore: "It restarts an epoch, and would load its own "
    "weights over those that are resumed. ResumeTraining does its work.",
}
STATEFUL = (
    keras.callbacks.CSVLogger,
    keras.callbacks.EarlyStopping,
    keras.callbacks.ModelCheckpoint,
    keras.callbacks.ReduceLROnPlateau,
    keras.callbacks.TensorBoard,
)


def check_callbacks(callbacks) -> list:
    """Returns the callbacks as a list, or raises if one cannot be kept."""
    callbacks = keras.tree.flatten(callbacks)
    for callback in callbacks:
        if not isinstance(callback, keras.callbacks.Callback):
            expected = "a list of keras.callbacks.Callback"
            raise invalid_argument("callbacks", expected, callback)
        for refused, reason in REFUSED.items():
            if isinstance(callback, refused):
                expected = f"no {refused.__name__}"
                raise invalid_argument("callbacks", expected, callback, reason)
    return callbacks


def check_others(callbacks: list, resume) -> None:
    """Warns of callbacks beside `ResumeTraining` that have a state, which is lost.

    Args:
        callbacks: All callbacks of `fit`.
        resume: The `ResumeTraining` among them.
    """
    others = [callback for callback in callbacks if callback is not resume]
    if any(isinstance(other, type(resume)) for other in others):
        raise invalid_argument("callbacks", "one ResumeTraining", callbacks)
    check_callbacks(others)
    names = [type(other).__name__ for other in others if _is_stateful(other)]
    if names:
        warnings.warn(
            f"The state of {', '.join(names)} is lost when the training is resumed. "
            "Pass such callbacks to ResumeTraining, as `callbacks=[...]`, and not to "
            "`fit`.",
            stacklevel=2,
        )


def _is_stateful(callback) -> bool:
    is_own = type(callback).__module__.partition(".")[0] == __name__.partition(".")[0]
    return is_own or _has_own(callback) or isinstance(callback, STATEFUL)


def take_states(callbacks: list) -> list[bytes]:
    """Returns the states of callbacks, pickled one by one.

    Raises:
        ValueError: If the state of one cannot be saved; it is named.
    """
    return [_take(callback) for callback in callbacks]


def give_states(callbacks: list, states: list[bytes]) -> None:
    """Makes callbacks what they were when `take_states` was called."""
    for callback, state in zip(callbacks, states, strict=True):
        _give(callback, pickle.loads(state))


def _take(callback) -> bytes:
    if _has_own(callback):
        return _pickled(callback, {"what get_state() returned": callback.get_state()})
    take, _ = _handler(callback)
    return _pickled(callback, take(callback))


def _give(callback, state) -> None:
    if _has_own(callback):
        callback.set_state(*state.values())
    else:
        _, give = _handler(callback)
        give(callback, state)


def _has_own(callback) -> bool:
    return all(hasattr(callback, name) for name in ("get_state", "set_state"))


def _handler(callback) -> tuple:
    for kind, handler in HANDLERS.items():
        if isinstance(callback, kind):
            return handler
    return _attributes, _set_attributes


def _pickled(callback, state: dict) -> bytes:
    """Returns the pickled state, or raises an error that names what cannot be."""
    if not any(map(_holds_keras_objects, state.values())):
        with contextlib.suppress(Exception):
            return pickle.dumps(state)
    for name, value in state.items():
        _check_picklable(callback, name, value)
    return pickle.dumps(state)


def _check_picklable(callback, name: str, value) -> None:
    try:
        if _holds_keras_objects(value):
            raise TypeError("it holds a model, a layer or a variable")
        pickle.dumps(value)
    except Exception as error:
        raise ValueError(
            f"The state of the callback {type(callback).__name__} cannot be saved: "
            f"{name} is a {type(value).__name__} ({error}). Expected attributes that "
            "can be pickled.\nGive the callback the methods `get_state()`, which "
            "returns what can, and `set_state(state)`. A callback without a state "
            "worth keeping goes into the list of `fit`, not into that of "
            "ResumeTraining."
        ) from error


def _holds_keras_objects(value) -> bool:
    kinds = keras.layers.Layer | keras.Variable | keras.optimizers.Optimizer
    leaves = keras.tree.flatten(value) if isinstance(value, dict | list) else [value]
    return any(isinstance(leaf, kinds) for leaf in leaves)


def _attributes(callback) -> dict:
    """All attributes but the model, which Keras gives to every callback."""
    model = callback._model
    return {
        name: value
        for name, value in vars(callback).items()
        if name not in NOT_STATE and value is not model
    }


def _set_attributes(callback, state: dict) -> None:
    for name, value in state.items():
        old = vars(callback).get(name)
        if not _change(old, value):
            setattr(callback, name, value)


def _change(old, new) -> bool:
    """Makes an object like another one, so that who else holds it sees that.

    Returns:
        Whether that was possible.
    """
    if type(old) is not type(new):
        return False
    if isinstance(old, list):
        old[:] = new
    elif isinstance(old, dict | set):
        old.clear()
        old.update(new)
    elif isinstance(old, np.ndarray) and old.shape == new.shape:
        if old.dtype != new.dtype or not old.flags.writeable:
            return False
        old[...] = new
    elif type(old).__reduce_ex__ is object.__reduce_ex__ and hasattr(old, "__dict__"):
        if isinstance(old, type) or callable(old) or isinstance(old, os.PathLike):
            return False
        vars(old).clear()
        vars(old).update(vars(new))
    else:
        return False
    return True


def _named(*names):
    """Returns a handler that keeps these attributes only."""

    def take(callback) -> dict:
        return {name: getattr(callback, name, None) for name in names}

    return take, _set_attributes


def _take_csv(callback) -> dict:
    path = Path(callback.filename)
    contents = path.read_bytes() if path.exists() else b""
    return {"keys": callback.keys, "contents": contents}


def _give_csv(callback, state: dict) -> None:
    """Removes the rows that were written after the save."""
    is_open = callback.csv_file is not None and not callback.csv_file.closed
    if not is_open:  # the training has ended, and the file is complete
        return
    callback.csv_file.close()
    with replacing(callback.filename) as partial:
        partial.write_bytes(state["contents"])
    callback.csv_file = open(callback.filename, "a")  # noqa: SIM115
    callback.keys = state["keys"]
    callback.writer = None
    callback.append_header = not state["contents"]


def _take_tensorboard(callback) -> dict:
    previous = callback._previous_epoch_iterations
    return {
        "_global_train_batch": callback._global_train_batch,
        "_global_test_batch": callback._global_test_batch,
        "_previous_epoch_iterations": np.asarray(keras.ops.convert_to_numpy(previous)),
        "_epoch_start_time": getattr(callback, "_epoch_start_time", None),
    }


HANDLERS = {
    keras.callbacks.CSVLogger: (_take_csv, _give_csv),
    keras.callbacks.TensorBoard: (_take_tensorboard, _set_attributes),
    # Their functions and paths are settings.
    keras.callbacks.LearningRateScheduler: _named(),
    keras.callbacks.ModelCheckpoint: _named(
        "best",
        "_batches_seen_since_last_saving",
        "_last_batch_seen",
        "_current_epoch",
    ),
}
