"""The check that a model is compiled."""

import keras

from zoo.utils.arguments import invalid_argument


def check_compiled(model) -> None:
    """Raises an error unless `model` is a compiled Keras model."""
    if not isinstance(model, keras.Model):
        raise invalid_argument("model", "a compiled keras.Model", model)
    if not model.compiled:
        raise invalid_argument(
            "model",
            "a compiled keras.Model",
            model.name,
            "Call `model.compile(optimizer, loss)` first.",
        )
