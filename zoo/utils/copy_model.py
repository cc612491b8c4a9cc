"""Functions that copy a model using its config and its variables."""

import types
from collections.abc import Callable

import keras
import numpy as np

from ..backend.keras_internals import flatten_layers
from .arguments import invalid_argument


def copy_model(
    model: keras.Model, change_config: Callable[[dict], dict] = dict
) -> keras.Model:
    """Returns an uncompiled copy of a model, with the same layers and weights.

    The copy shares no state with the original. Custom classes and functions need not be
    registered with Keras, because they are taken from the layers of `model`.

    Args:
        model: Built model whose layers can be recreated from their `get_config`.
        change_config: Function that maps the config saved by Keras to the config of
            the copy. Defaults to `dict`, which changes nothing.

    Raises:
        ValueError: If Keras cannot recreate the model from its config.
    """
    try:
        config = keras.saving.serialize_keras_object(model)
        config.pop("compile_config", None)
        copy = keras.saving.deserialize_keras_object(
            change_config(config), custom_objects=_objects_of(model), safe_mode=False
        )
        load_variables(copy, own_variables(model))
        _restore_adapters(copy, model)
    except (NotImplementedError, TypeError, ValueError) as error:  # from Keras
        raise invalid_argument(
            "model",
            "a model that can be made from its `get_config`",
            model.name,
            f"Keras failed to copy it: {error}",
        ) from error
    return copy


def own_variables(model: keras.Model) -> list[dict[str, np.ndarray]]:
    """Returns the entries that `save_own_variables` writes, as one dict per layer."""
    stores: list[dict] = [{} for _ in flatten_layers(model)]
    for layer, store in zip(flatten_layers(model), stores, strict=True):
        layer.save_own_variables(store)
    return [
        {key: keras.ops.convert_to_numpy(value) for key, value in store.items()}
        for store in stores
    ]


def load_variables(model: keras.Model, stores: list[dict[str, np.ndarray]]) -> None:
    """Loads the result of `own_variables` into a model with the same layers.

    Each layer loads its own entries, because some layers, such as `Normalization`,
    compute additional values while loading.
    """
    for layer, store in zip(flatten_layers(model), stores, strict=True):
        layer.load_own_variables(store)


def _restore_adapters(copy: keras.Model, model: keras.Model) -> None:
    """Restores LoRA adapters, which Keras merges into the kernels when saving."""
    layers = zip(flatten_layers(copy), flatten_layers(model), strict=True)
    for target, source in layers:
        if getattr(source, "lora_enabled", False):
            for variable, value in zip(target.weights, source.weights, strict=True):
                variable.assign(value)


def _objects_of(model: keras.Model) -> dict:
    """Returns the classes and functions of all layers, even if they are not registered.

    The keys of the result are the names that Keras uses in configs.
    """
    layers = flatten_layers(model)
    functions = [
        value
        for layer in layers
        for value in vars(layer).values()
        if isinstance(value, types.FunctionType)
    ]
    return {
        keras.saving.get_registered_name(item): item
        for item in [*map(type, layers), *functions]
    }
