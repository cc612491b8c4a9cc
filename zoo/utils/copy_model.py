"""Copies of models, made from their configs."""

import types
from collections.abc import Callable

import keras
import numpy as np

from .arguments import invalid_argument


def copy_model(
    model: keras.Model, change_config: Callable[[dict], dict] = dict
) -> keras.Model:
    """Returns an uncompiled model of the same layers and the same weights.

    Nothing is shared with the original. Classes and functions need not be registered
    with Keras: they are taken from the layers at hand.

    Args:
        model: Model that is built, of layers that can be made from their `get_config`.
        change_config: Function of the config that Keras would save, to the one that
            the copy is made from. Defaults to `dict`, which changes nothing.

    Raises:
        ValueError: If Keras cannot make the model from its config.
    """
    try:
        config = keras.saving.serialize_keras_object(model)
        config.pop("compile_config", None)
        copy = keras.saving.deserialize_keras_object(
            change_config(config), custom_objects=_objects_of(model), safe_mode=False
        )
        load_variables(copy, own_variables(model))
        _restore_adapters(copy, model)
    except Exception as error:
        raise invalid_argument(
            "model",
            "a model that can be made from its `get_config`",
            model.name,
            f"Keras could not: {error}",
        ) from error
    return copy


def own_variables(model: keras.Model) -> list[dict[str, np.ndarray]]:
    """Returns what every layer saves of its own variables, by the layer's keys."""
    stores = [{} for _ in model._flatten_layers()]
    for layer, store in zip(model._flatten_layers(), stores, strict=True):
        layer.save_own_variables(store)
    return [
        {key: keras.ops.convert_to_numpy(value) for key, value in store.items()}
        for store in stores
    ]


def load_variables(model: keras.Model, stores: list[dict[str, np.ndarray]]) -> None:
    """Loads what `own_variables` returned of a model of the same layers.

    Layers load it themselves: some, as `Normalization`, compute something from it.
    """
    for layer, store in zip(model._flatten_layers(), stores, strict=True):
        layer.load_own_variables(store)


def _restore_adapters(copy: keras.Model, model: keras.Model) -> None:
    """Undoes that Keras merges LoRA adapters into what it saves, and rounds it."""
    layers = zip(copy._flatten_layers(), model._flatten_layers(), strict=True)
    for target, source in layers:
        if getattr(source, "lora_enabled", False):
            for variable, value in zip(target.weights, source.weights, strict=True):
                variable.assign(value)


def _objects_of(model: keras.Model) -> dict:
    """Classes and functions of the layers by name, for those not registered."""
    layers = model._flatten_layers()
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
