"""Registration with Keras' saving."""

import keras


def registered(cls: type) -> type:
    """Registers a class with Keras, so that files which contain it can be loaded."""
    return keras.saving.register_keras_serializable(package="kerascope")(cls)
