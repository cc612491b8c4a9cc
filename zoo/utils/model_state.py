"""Saves and restores the state of a model, bit for bit.

`keras.Model.save_weights` does not preserve the state of a layer with a LoRA adapter:
Keras merges the adapter into the kernel and, in a quantized layer, rounds the result.
"""

from collections.abc import Iterator

import h5py
import keras
import numpy as np

from ..backend.keras_internals import flatten_layers, saves_as_keras
from .arguments import invalid_argument


def write_state(model: keras.Model, group: h5py.Group) -> None:
    """Writes all variables of a model: weights, statistics and seeds.

    Custom layers and PyTorch modules may save more than variables, so the result of
    their `save_own_variables` is also written. The model does not have to be built or
    have a `call` method. Optimizers and metrics are excluded.

    Args:
        model: Model to write.
        group: Empty group of an HDF5 file.
    """
    for number, variable in enumerate(model.variables):
        _put(group, str(number), keras.ops.convert_to_numpy(variable))
    for number, layer in _layers_with_more(model):
        store: dict = {}
        layer.save_own_variables(store)
        for key, value in store.items():
            _put(group.require_group(f"layer_{number}"), key, _to_array(value))


def read_state(model: keras.Model, group: h5py.Group) -> None:
    """Restores the state that `write_state` wrote for the same model.

    Args:
        model: Model to restore.
        group: Group of an HDF5 file.

    Raises:
        ValueError: If the number or the shapes of the variables differ from those in
            the file.
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
    """Returns whether any layer has a LoRA adapter.

    Keras merges LoRA adapters into the kernels when it saves a model.
    """
    return any(map(_has_adapter, flatten_layers(model)))


def check_can_be_saved(model: keras.Model, argument: str) -> None:
    """Raises an error unless Keras can save the model and restore it exactly.

    Args:
        model: Model to check.
        argument: Name of the user's argument that determines where the model is saved.
            The error message contains this name.

    Raises:
        ValueError: If a quantized layer has a LoRA adapter, or the model is not built
            and has no `call` method.
    """
    rounded = [
        layer.name
        for layer in flatten_layers(model)
        if _has_adapter(layer) and layer.quantization_mode is not None
    ]
    if rounded:
        raise invalid_argument(
            argument,
            "no LoRA adapter on a quantized layer",
            rounded,
            "Keras merges the adapter into the quantized kernel when it saves, and "
            "rounds the result: the saved model would predict differently.",
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
    """Yields `(index, layer)` for each layer that may save more than its variables.

    An example is a layer with PyTorch buffers.
    """
    for number, layer in enumerate(flatten_layers(model)):
        if not saves_as_keras(layer):
            yield number, layer


def _numbers(group) -> list[int]:
    return sorted(int(key) for key in group if key.isdigit())


def _to_array(value) -> np.ndarray:
    is_tensor = keras.ops.is_tensor(value) or isinstance(value, keras.Variable)
    return keras.ops.convert_to_numpy(value) if is_tensor else np.asarray(value)


def _put(group, key: str, array: np.ndarray) -> None:
    """Writes an array as bytes, because HDF5 does not support dtypes like bfloat16."""
    data = np.ascontiguousarray(array).reshape(-1).view("uint8")
    dataset = group.create_dataset(key, data=data)
    dataset.attrs["shape"] = np.array(array.shape, "int64")
    is_extension = array.dtype.kind == "V"  # such as bfloat16, identified by name
    dataset.attrs["dtype"] = array.dtype.name if is_extension else array.dtype.str


def _get(group, key: str) -> np.ndarray:
    dataset = group[key]
    array = dataset[()].view(np.dtype(dataset.attrs["dtype"]))
    return array.reshape(tuple(dataset.attrs["shape"]))
