"""Base class of models that train a classifier."""

import keras

from .float_inputs import only
from .head import Head
from .model_checks import check_model


class ClassifierTrainer(keras.Model):
    """Wraps a classifier in a model that trains it.

    The `model` attribute is the classifier, and the outputs of the trainer are the
    outputs of the classifier. Subclasses define the training step. The `compile` method
    of a subclass sets `head`, which describes how to interpret the outputs.

    Args:
        model: Built classifier with one input.
        name: Name of the trainer.

    Raises:
        ValueError: If gradient-based attacks do not support the model.
    """

    def __init__(self, model: keras.Model, name: str):
        check_model(model)
        # Inputs are cast by the layers of the classifier, not here.
        super().__init__(name=name, dtype=model.dtype_policy, autocast=False)
        self.model = model
        self.head: Head | None = None  # set by `compile`

    def call(self, inputs, training=None):
        """Returns the output of the classifier."""
        return only(self.model(inputs, training=training))

    def compute_output_shape(self, input_shape):
        return only(self.model.compute_output_shape(input_shape))

    def compile_from_config(self, config):
        """Compiles the trainer with the saved arguments of `compile`."""
        self.compile(**keras.saving.deserialize_keras_object(config))
        self.optimizer.build(self.trainable_variables)

    def add_state(self, name: str, initializer) -> keras.Variable:
        """Adds a scalar, non-trainable float32 weight to the trainer."""
        return self.add_weight(
            (),
            initializer=initializer,
            trainable=False,
            dtype="float32",
            aggregation="only_first_replica",
            name=name,
        )

    def assert_is_compiled(self, method: str) -> None:
        """Raises an error if `compile` has not been called before `method`."""
        if self.head is None:
            raise ValueError(
                f"The trainer '{self.name}' is not compiled. Expected a call to "
                f"`compile` before `{method}`, such as "
                '`trainer.compile("adam", data.loss, metrics=data.metrics)`.'
            )


def trained_model(model: keras.Model) -> keras.Model:
    """Returns the classifier of a `ClassifierTrainer`, or any other model itself."""
    return model.model if isinstance(model, ClassifierTrainer) else model
