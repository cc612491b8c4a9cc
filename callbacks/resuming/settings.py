"""The settings that identify a training run, and how two of them differ."""

import inspect
import json
import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import Any

import keras
import numpy as np

from zoo.backend.framework_internals import pipeline_parts
from zoo.datasets import ArrayDataset
from zoo.datasets.origin import Origin, origin_of

from .callback_state import PATHS
from .errors import ResumeError
from .fit_call import FitCall
from .training_state import optimizers_of

NOTHING = "nothing"
UNKNOWN = "unknown"  # the same as any value
ARGUMENTS = (  # of `fit`
    "shuffle",
    "class_weight",
    "initial_epoch",
    "steps_per_epoch",
    "validation_steps",
    "validation_batch_size",
    "validation_freq",
)
ROWS = 64  # number of rows of an array that its checksum covers
MAX_LISTED = 20
PLAIN = (str, int, float, bool, tuple)


def settings_of(call: FitCall, callbacks: list) -> dict:
    """Returns the settings of a training run in a JSON-serializable form.

    Args:
        call: The call to `fit`. All variables of its model must exist.
        callbacks: The callbacks whose state is saved.
    """
    arguments = call.arguments
    settings = {
        "backend": keras.config.backend(),
        "model": _model(call.model),
        "optimizer": _optimizer(call.model.optimizer),
        "other_optimizers": [
            _optimizer(optimizer)
            for _, _, optimizer in optimizers_of(call.model)
            if optimizer is not call.model.optimizer
        ],
        "compile": _compiled(call.model),
        "data": data_settings(
            arguments["x"], arguments["y"], arguments["sample_weight"]
        ),
        "validation_data": data_settings(arguments["validation_data"]),
        "batch_size": call.batch_size,
        "steps": call.epoch_iterator.num_batches,
        "callbacks": [_callback(callback) for callback in callbacks],
    }
    for name in ARGUMENTS:
        settings[name] = _readable_keys(arguments[name])
    return json.loads(json.dumps(settings, default=_readable, sort_keys=True))


def versions() -> dict[str, str]:
    """Returns the versions of Keras and its backend, which may affect the results."""
    backend = keras.config.backend()
    return {"keras": keras.__version__, backend: sys.modules[backend].__version__}


def check_same(there: dict, here: dict, directory) -> None:
    """Raises an error that lists the differing settings, if there are any.

    Args:
        there: Settings of the saved training run.
        here: Current settings.
        directory: Folder of the saves.

    Raises:
        ResumeError: If the settings differ.
    """
    there, here = dict(_flat(there)), dict(_flat(here))
    pairs = {
        name: (there.get(name, NOTHING), here.get(name, NOTHING))
        for name in {**there, **here}
    }
    differences = [
        f"  {name}: {_shown(one)} there, {_shown(other)} here"
        for name, (one, other) in pairs.items()
        if repr(one) != repr(other) and UNKNOWN not in (one, other)  # `repr`: NaN
    ]
    if differences:
        listed = "\n".join(differences[:MAX_LISTED])
        raise ResumeError(
            f"The training run in '{directory}' was started with different settings:\n"
            f"{listed}\nPass the same settings to resume it, a different `directory` "
            "to start a new one, or `overwrite=True` to remove it."
        )


def _shown(value) -> str:
    """Returns a setting as code, and float32 numbers as the user wrote them.

    An optimizer keeps its learning rate in float32, so 0.001 becomes
    0.0010000000474974513.
    """
    if isinstance(value, list):
        return f"[{', '.join(map(_shown, value))}]"
    if isinstance(value, float) and value == float(np.float32(value)):
        return str(float(str(np.float32(value))))
    return repr(value)


def _model(model) -> dict:
    try:
        config = model.get_config()
    except Exception:  # a subclass of keras.Model may have no config
        config = {}
    return {
        "class": type(model).__name__,
        "config": _without_names(config),
        "variables": [[list(v.shape), str(v.dtype)] for v in model.variables],
        "trainable": [bool(v.trainable) for v in model.variables],
    }


def _without_names(config) -> Any:
    """Replaces the names in a config by numbers.

    Keras numbers its default names by process, so they depend on earlier models.
    """
    config = json.loads(json.dumps(config, default=_readable))
    numbers: dict[str, str] = {}

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


def _optimizer(optimizer) -> dict | None:
    if optimizer is None:
        return None
    config = _without_names(optimizer.get_config())
    if int(keras.ops.convert_to_numpy(optimizer.iterations)):
        # It was used before in this process: a callback may have changed its rate.
        _hide_learning_rates(config)
    return {"class": type(optimizer).__name__, **config}


def _hide_learning_rates(config) -> None:
    """Replaces the numbers; a callback cannot change a schedule of the optimizer."""
    pairs = config.items() if isinstance(config, dict) else enumerate(config)
    for name, value in pairs:
        if name == "learning_rate" and not isinstance(value, dict):
            config[name] = UNKNOWN
        elif isinstance(value, dict | list):
            _hide_learning_rates(value)


def _compiled(model) -> object:
    try:
        config = model.get_compile_config()
    except Exception:  # a loss or metric of the user may have no config
        config = {}
    config = {key: value for key, value in config.items() if key != "optimizer"}
    return _without_names(config)


def data_settings(*parts) -> Any:
    """Returns kinds, shapes and, for arrays, checksums, to tell datasets apart."""
    x = parts[0]
    if x is None:
        return None
    if isinstance(x, ArrayDataset):
        return {
            **data_settings((x.arrays.x, x.arrays.y)),
            "batch_size": x.batch_size,
            "seed": None if x.order is None else x.order.seed,
            "scale": x.arrays.scale,
        }
    if hasattr(x, "element_spec"):
        cardinality = getattr(x, "cardinality", None)
        return {
            "elements": str(x.element_spec),
            "batches": int(cardinality()) if callable(cardinality) else None,
            "origins": [
                {
                    "seed": None if origin.order is None else origin.order.seed,
                    "checksum": _checksum(origin.first_examples()),
                }
                for origin in _origins(x)
            ],
        }
    leaves = [leaf for leaf in keras.tree.flatten(parts) if leaf is not None]
    if all(hasattr(leaf, "shape") for leaf in leaves):
        return {"arrays": [_array(leaf) for leaf in leaves]}
    return {"class": type(x).__name__}


def _origins(dataset) -> list[Origin]:
    """Returns the datasets of `zoo.datasets` that a `tf.data` pipeline reads."""
    origin = origin_of(dataset)
    if origin is not None:
        return [origin]
    inputs = (pipeline_parts(dataset) or ([],))[0]
    return [origin for each in inputs for origin in _origins(each)]


def _array(array) -> dict:
    dtype = str(getattr(array, "dtype", None))  # a data frame has several
    found: dict = {"shape": list(map(int, array.shape)), "dtype": dtype}
    size = int(array.shape[0]) if len(array.shape) else 0
    rows = np.linspace(0, size - 1, min(size, ROWS)).astype(int)
    if hasattr(array, "iloc"):
        text = array.iloc[rows].to_csv()
        found["checksum"] = zlib.crc32(text.encode())
    elif isinstance(array, np.ndarray):
        found["checksum"] = _checksum([array[rows]])
    elif keras.ops.is_tensor(array) or hasattr(array, "__array__"):
        parts = [keras.ops.convert_to_numpy(array[int(row)]) for row in rows]
        found["checksum"] = _checksum(parts)
    return found


def _checksum(arrays: Iterable[np.ndarray]) -> int:
    checksum = 0
    for array in arrays:
        array = np.ascontiguousarray(array)
        is_object = array.dtype == object
        contents = repr(array.tolist()).encode() if is_object else array.tobytes()
        checksum = zlib.crc32(contents, checksum)
    return checksum


def _callback(callback) -> dict:
    """Returns the class of a callback, and the simple arguments it was created with."""
    found: dict = {"class": type(callback).__name__}
    # The lists and dicts of your own callbacks may change during `fit`.
    package = type(callback).__module__.partition(".")[0]
    is_own = package not in ("keras", __name__.partition(".")[0])
    kinds = PLAIN if is_own else (*PLAIN, list, dict)
    names = inspect.signature(type(callback).__init__).parameters
    for name in names.keys() - set(PATHS):
        value: Any = getattr(callback, name, None)
        if isinstance(value, kinds):
            found[name] = _readable_keys(value)
        elif hasattr(value, "get_config"):
            found[name] = _without_names(value.get_config())
    if "min_delta" in found:  # Keras changes its sign in mode "min"
        found["min_delta"] = abs(found["min_delta"])
    return found


def _readable(value) -> object:
    """Converts a value that JSON does not support.

    Numbers and arrays become numbers; other values become texts without addresses.
    """
    if hasattr(value, "item") and getattr(value, "size", 0) == 1:
        return value.item()
    if isinstance(value, np.ndarray):
        return value.tolist()
    if hasattr(value, "__name__"):
        return value.__name__
    if isinstance(value, set | frozenset):
        return sorted(map(repr, value))  # their order differs by process
    text = repr(value)
    return type(value).__name__ if " at 0x" in text else text


def _readable_keys(value) -> object:
    """Converts the keys of a dict to texts, because JSON does not support all keys."""
    if not isinstance(value, dict):
        return value
    keys = [key.item() if isinstance(key, np.generic) else key for key in value]
    return dict(zip(map(str, keys), value.values(), strict=True))


def _flat(value, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yields nested settings with dotted names."""
    pairs: Iterable
    if isinstance(value, dict):
        pairs = value.items()
    elif isinstance(value, list) and any(isinstance(v, dict | list) for v in value):
        pairs = enumerate(value)
    else:
        yield prefix, value
        return
    for name, part in pairs:
        yield from _flat(part, f"{prefix}.{name}" if prefix else str(name))
