"""What makes a training the one that it is, and how another one differs from it."""

import inspect
import json
import zlib

import keras
import numpy as np

from zoo.datasets import ArrayDataset

NOTHING = "nothing"
PATHS = {"directory", "filename", "filepath", "log_dir"}  # a folder may have moved
ROWS = 64  # of an array that go into its checksum


def settings_of(model, call, callbacks: list) -> dict:
    """Returns the settings of a training, nested dicts and lists of what JSON holds.

    Args:
        model: Compiled model, whose variables exist.
        call: `FitCall` that trains it.
        callbacks: The callbacks of which the state is kept.
    """
    arguments = call.arguments
    settings = {
        "backend": keras.backend.backend(),
        "model": _model(model),
        "optimizer": _optimizer(model),
        "compile": _compiled(model),
        "data": _data(arguments["x"], arguments["y"], arguments["sample_weight"]),
        "validation_data": _data(arguments["validation_data"]),
        "batch_size": call.epoch_iterator.data_adapter.batch_size,
        "steps": call.epoch_iterator.num_batches,
        "callbacks": [_callback(callback) for callback in callbacks],
    }
    names = ("shuffle", "class_weight", "initial_epoch", "steps_per_epoch")
    for name in (*names, "validation_steps", "validation_freq"):
        settings[name] = arguments[name]
    return json.loads(json.dumps(settings, default=_text, sort_keys=True))


def check_same(there: dict, here: dict, directory) -> None:
    """Raises if settings differ, and names those that do.

    Args:
        there: Settings that the training was begun with.
        here: Settings now.
        directory: Folder of the saves.

    Raises:
        ValueError: If they differ.
    """
    there, here = dict(_flat(there)), dict(_flat(here))
    differences = [
        f"  {name}: {there.get(name, NOTHING)!r} there, "
        f"{here.get(name, NOTHING)!r} here"
        for name in {**there, **here}
        if there.get(name, NOTHING) != here.get(name, NOTHING)
    ]
    if differences:
        listed = "\n".join(differences[:20])
        raise ValueError(
            f"The training in '{directory}' was begun with other settings:\n{listed}\n"
            "Pass the same settings to go on with it, another `directory` to begin a "
            "new one, or `overwrite=True` to remove it."
        )


def _model(model) -> dict:
    try:
        config = model.get_config()
    except Exception:  # a subclass need not have one
        config = {}
    variables = [[list(v.shape), str(v.dtype)] for v in model.variables]
    trainable = [bool(v.trainable) for v in model.variables]
    return {
        "class": type(model).__name__,
        "config": _without_names(config),
        "variables": variables,
        "trainable": trainable,
    }


def _without_names(config) -> object:
    """A config in which names, that Keras counts up in a process, are numbers."""
    config = json.loads(json.dumps(config, default=_text))
    numbers = {}

    def collect(part):
        if isinstance(part, dict):
            if isinstance(part.get("name"), str):
                numbers.setdefault(part["name"], f"#{len(numbers)}")
            for value in part.values():
                collect(value)
        elif isinstance(part, list):
            for value in part:
                collect(value)

    def replace(part):
        if isinstance(part, dict):
            return {
                key: replace(value)
                for key, value in part.items()
                if key not in ("name", "keras_history")
            }
        if isinstance(part, list):
            return [replace(value) for value in part]
        return numbers.get(part, part) if isinstance(part, str) else part

    collect(config)
    return replace(config)


def _optimizer(model) -> dict:
    optimizer = model.optimizer
    config = _without_names(optimizer.get_config())
    if int(keras.ops.convert_to_numpy(optimizer.iterations)):
        # It has trained in this process: a callback may have changed its rate.
        _remove(config, "learning_rate")
    return {"class": type(optimizer).__name__, **config}


def _remove(config, name: str) -> None:
    if isinstance(config, dict):
        config.pop(name, None)
    for value in config.values() if isinstance(config, dict) else config:
        if isinstance(value, dict | list):
            _remove(value, name)


def _compiled(model) -> dict:
    try:
        config = model.get_compile_config()
    except Exception:  # a function of the user's that has no config
        config = {}
    config = {key: value for key, value in config.items() if key != "optimizer"}
    return _without_names(config)


def _data(*parts) -> object:
    """What tells data from others: kinds, shapes, and a checksum of arrays."""
    x = parts[0]
    if x is None:
        return None
    if isinstance(x, ArrayDataset):
        seed = None if x.order is None else x.order.seed
        rest = {"batch_size": x.batch_size, "seed": seed, "scale": x.arrays.scale}
        return {"arrays": _data((x.arrays.x, x.arrays.y))["arrays"], **rest}
    if hasattr(x, "element_spec"):
        order = getattr(x, "order", None)
        cardinality = getattr(x, "cardinality", None)
        return {
            "elements": str(x.element_spec),
            "batches": int(cardinality()) if callable(cardinality) else None,
            "seed": None if order is None else order.seed,
        }
    leaves = [leaf for leaf in keras.tree.flatten(parts) if leaf is not None]
    if all(hasattr(leaf, "shape") for leaf in leaves):
        return {"arrays": [_array(leaf) for leaf in leaves]}
    return {"class": type(x).__name__}


def _array(array) -> dict:
    dtype = str(getattr(array, "dtype", None))  # a data frame has several
    found = {"shape": list(map(int, array.shape)), "dtype": dtype}
    if isinstance(array, np.ndarray) and array.dtype != object and len(array):
        rows = np.linspace(0, len(array) - 1, ROWS).astype(int)
        found["checksum"] = zlib.crc32(np.ascontiguousarray(array[rows]).tobytes())
    return found


def _callback(callback) -> dict:
    """The class, and the numbers and words with which a callback was made."""
    found = {"class": type(callback).__name__}
    names = inspect.signature(type(callback).__init__).parameters
    for name in names.keys() - PATHS:
        value = getattr(callback, name, None)
        if isinstance(value, str | int | float | bool):
            # Keras turns the sign of `min_delta` by the direction of the metric.
            found[name] = abs(value) if name == "min_delta" else value
        elif hasattr(value, "get_config"):
            found[name] = _without_names(value.get_config())
    return found


def _text(value) -> object:
    """What JSON does not know: a number as a number, else a text without addresses."""
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if hasattr(value, "__name__"):
        return value.__name__
    text = repr(value)
    return type(value).__name__ if " at 0x" in text else text


def _flat(value, prefix: str = ""):
    """Nested settings under dotted names."""
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
        pairs = enumerate(value)
    else:
        yield prefix, value
        return
    for name, part in pairs:
        yield from _flat(part, f"{prefix}.{name}" if prefix else str(name))
