"""Base class of models that train a classifier."""

import keras

from .float_inputs import only
from .model_checks import check_model


class ClassifierTrainer(keras.Model):
    """Wraps a classifier in a model that trains it.

    The classifier is the attribute `model`, and the outputs of the trainer are the
    outputs of the classifier. Subclasses define the training step.

    Args:
        model: Built classifier with one input.
        name: Name of the trainer.

    Raises:
        ValueError: If the model does not support gradient-based attacks.
    """

    def __init__(self, model: keras.Model, name: str):
        check_model(model)
        # Inputs are not cast here, but by the layers of the classifier.
        super().__init__(name=name, dtype=model.dtype_policy, autocast=False)
        self.model = model

    def call(self, inputs, training=None):
        """Returns the output of the classifier."""
        return only(self.model(inputs, training=training))

    def compute_output_shape(self, input_shape):
        return only(self.model.compute_output_shape(input_shape))

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
