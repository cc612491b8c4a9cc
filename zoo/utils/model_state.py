"""The state of a model, bit for bit as it is in memory.

`keras.Model.save_weights` writes something else where a layer has a LoRA adapter: it
merges the adapter into the kernel, and on a quantized layer rounds the result.
"""

from collections.abc import Iterator

import h5py
import keras
import numpy as np

from .arguments import invalid_argument


def write_state(model: keras.Model, group: h5py.Group) -> None:
    """Writes all variables of a model: weights, statistics, seeds of generators.

    Layers of the user's, or of PyTorch, that save more than variables are asked for
    it. The model need not be built, nor have a `call`. Optimizers and metrics are
    left out.

    Args:
        model: Model.
        group: Empty group of an HDF5 file.
    """
    for number, variable in enumerate(model.variables):
        _put(group, str(number), keras.ops.convert_to_numpy(variable))
    for number, layer in _layers_with_more(model):
        store = {}
        layer.save_own_variables(store)
        for key, value in store.items():
            _put(group.require_group(f"layer_{number}"), key, _to_array(value))


def read_state(model: keras.Model, group: h5py.Group) -> None:
    """Gives a model the state that `write_state` wrote of the same model.

    Raises:
        ValueError: If the model has other variables.
    """
    variables = model.variables
    shapes = [tuple(variable.shape) for variable in variables]
    found = [tuple(group[str(number)].attrs["shape"]) for number in _numbers(group)]
    if found != shapes:
        raise invalid_argument("model", f"variables of shapes {found}", shapes)
    for number, layer in _layers_with_more(model):
        stored = group.get(f"layer_{number}", {})
        layer.load_own_variables({key: _get(stored, key) for key in stored})
    for number, variable in enumerate(variables):
        variable.assign(_get(group, str(number)))


def has_adapters(model: keras.Model) -> bool:
    """Whether any layer has a LoRA adapter, which Keras merges when it saves."""
    return any(map(_has_adapter, model._flatten_layers()))


def check_can_be_saved(model: keras.Model, argument: str) -> None:
    """Raises if a file that Keras writes of the model gives another model.

    Args:
        model: Model.
        argument: Name of the argument that asks for the file.

    Raises:
        ValueError: If it is so.
    """
    rounded = [
        layer.name
        for layer in model._flatten_layers()
        if _has_adapter(layer) and layer.quantization_mode is not None
    ]
    if rounded:
        raise invalid_argument(
            argument,
            "no LoRA adapter on a quantized layer",
            rounded,
            "Keras merges the adapter into the quantized kernel when it saves, and "
            "rounds: the file would hold a model that predicts differently.",
        )
    if not model.built and type(model).call is keras.Model.call:
        raise invalid_argument(
            argument,
            "a model with a `call` or `build` method",
            model.name,
            "Keras saves and loads only models that are built.",
        )


def _has_adapter(layer) -> bool:
    return bool(getattr(layer, "lora_enabled", False))


def _layers_with_more(model) -> Iterator[tuple[int, keras.layers.Layer]]:
    """Layers that may save more than their variables, as buffers of PyTorch."""
    for number, layer in enumerate(model._flatten_layers()):
        classes = type(layer).__mro__
        saving = next(cls for cls in classes if "save_own_variables" in vars(cls))
        if not saving.__module__.startswith(("keras.src.layers", "keras.src.models")):
            yield number, layer


def _numbers(group) -> list[int]:
    return sorted(int(key) for key in group if key.isdigit())


def _to_array(value) -> np.ndarray:
    is_tensor = keras.ops.is_tensor(value) or isinstance(value, keras.Variable)
    return keras.ops.convert_to_numpy(value) if is_tensor else np.asarray(value)


def _put(group, key: str, array: np.ndarray) -> None:
    """Writes the bytes of an array, since HDF5 lacks types such as bfloat16."""
    data = np.ascontiguousarray(array).reshape(-1).view("uint8")
    dataset = group.create_dataset(key, data=data)
    dataset.attrs["shape"] = np.array(array.shape, "int64")
    is_extension = array.dtype.kind == "V"  # such as bfloat16, known by its name
    dataset.attrs["dtype"] = array.dtype.name if is_extension else array.dtype.str


def _get(group, key: str) -> np.ndarray:
    dataset = group[key]
    array = dataset[()].view(np.dtype(dataset.attrs["dtype"]))
    return array.reshape(tuple(dataset.attrs["shape"]))
