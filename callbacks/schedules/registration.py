"""Registers classes for Keras serialization."""

import keras


def registered(cls: type) -> type:
    """Registers a class with Keras, so that files that contain it can be loaded."""
    return keras.saving.register_keras_serializable(package="kerascope")(cls)
