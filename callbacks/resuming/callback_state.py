"""The states of callbacks of kerascope, of Keras and of the user."""

import os
import pickle
from pathlib import Path

import keras
import numpy as np

from zoo.backend.keras_fit_internals import progress_of
from zoo.utils.files import replacing

from .errors import ResumeError

NOT_STATE = ("params", "_model", "model")
PATHS = ("directory", "filename", "filepath", "log_dir")


def check_states(callbacks: list) -> None:
    """Checks that the state of every callback can be saved.

    Raises:
        ResumeError: If the state of a callback cannot be pickled. The error names the
            callback and the attribute.
    """
    for callback in callbacks:
        for name, value in _take(callback).items():
            _check_picklable(callback, name, value)


def take_states(callbacks: list) -> list[dict]:
    """Returns the state of every callback, to be pickled before the next step.

    Raises:
        ResumeError: If the state of a callback contains objects of Keras.
    """
    states = [_take(callback) for callback in callbacks]
    for callback, state in zip(callbacks, states, strict=True):
        for name, value in state.items():
            if _holds_keras_objects(value):
                _check_picklable(callback, name, value)
    return states


def give_states(callbacks: list, states: list[dict]) -> None:
    """Restores a result of `take_states()`."""
    for callback, state in zip(callbacks, states, strict=True):
        _give(callback, state)


def has_own_state(callback) -> bool:
    """Returns whether a callback has the methods `get_state` and `set_state`."""
    return all(hasattr(callback, name) for name in ("get_state", "set_state"))


def has_state(callback) -> bool:
    """Returns whether a callback has anything that a save could contain."""
    return has_own_state(callback) or bool(_attributes(callback))


def _take(callback) -> dict:
    if has_own_state(callback):
        return {"the result of get_state()": callback.get_state()}
    if isinstance(callback, keras.callbacks.CSVLogger):
        return _take_csv(callback)
    progress = progress_of(callback)
    return _attributes(callback) if progress is None else as_arrays(progress)


def _give(callback, state: dict) -> None:
    if has_own_state(callback):
        callback.set_state(*state.values())
    elif isinstance(callback, keras.callbacks.CSVLogger):
        _give_csv(callback, state)
    else:
        _set_attributes(callback, state)


def _check_picklable(callback, name: str, value) -> None:
    try:
        if _holds_keras_objects(value):
            raise TypeError("it contains a model, a layer, a variable or an optimizer")
        pickle.dumps(value)
    except Exception as error:
        raise ResumeError(
            f"The state of the callback {type(callback).__name__} cannot be saved: "
            f"{name} is a {type(value).__name__} ({error}). Expected attributes that "
            "can be pickled.\nAdd the methods `get_state()`, whose result can be "
            "pickled, and `set_state(state)` to the callback. If the callback has no "
            "state, pass it to `fit` instead of ResumeTraining."
        ) from error


def _holds_keras_objects(value) -> bool:
    kinds = keras.layers.Layer | keras.Variable | keras.optimizers.Optimizer
    leaves = keras.tree.flatten(value) if isinstance(value, dict | list) else [value]
    return any(isinstance(leaf, kinds) for leaf in leaves)


def _attributes(callback) -> dict:
    """Returns all attributes except those that a new program sets again.

    These are the model, which Keras passes to every callback, and paths, because a
    folder may be moved.
    """
    model = callback.model
    return {
        name: value
        for name, value in vars(callback).items()
        if name not in {*NOT_STATE, *PATHS} and value is not model
    }


def as_arrays(state: dict) -> dict:
    """Converts tensors to arrays, which can be pickled on every backend."""
    return {
        name: keras.ops.convert_to_numpy(value) if keras.ops.is_tensor(value) else value
        for name, value in state.items()
    }


def _set_attributes(callback, state: dict) -> None:
    for name, value in state.items():
        if not _changed_in_place(vars(callback).get(name), value):
            setattr(callback, name, value)


def _changed_in_place(old, new) -> bool:
    """Changes an object to equal another one, so that other references see the change.

    Returns:
        Whether this was possible.
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
    elif _is_plain(old):
        vars(old).clear()
        vars(old).update(vars(new))
    else:
        return False
    return True


def _is_plain(thing) -> bool:
    """Returns whether the attributes of an object are its whole state."""
    if callable(thing) or isinstance(thing, os.PathLike):
        return False
    pickling = getattr(type(thing), "__reduce_ex__", None)
    return hasattr(thing, "__dict__") and pickling is object.__reduce_ex__


def _take_csv(callback) -> dict:
    path = Path(callback.filename)
    contents = path.read_bytes() if path.exists() else b""
    return {"keys": callback.keys, "contents": contents}


def _give_csv(callback, state: dict) -> None:
    """Removes the rows that were written after the state was saved."""
    is_open = callback.csv_file is not None and not callback.csv_file.closed
    if not is_open:  # training has ended, and the file is complete
        return
    callback.csv_file.close()
    with replacing(callback.filename) as partial:
        partial.write_bytes(state["contents"])
    callback.csv_file = open(callback.filename, "a")  # noqa: SIM115
    callback.keys = state["keys"]
    callback.writer = None
    callback.append_header = not state["contents"]
