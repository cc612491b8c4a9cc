"""Wraps a tensor for use as a hyperparameter, which Keras expects to be a number."""

import keras


class StepHyperparameter(keras.Variable):
    """Represents a hyperparameter that is computed as a tensor in the step.

    Keras' optimizers evaluate `momentum != 0` in Python, which fails on a traced
    tensor. Here, `!=` and `>` always return `True`, because the optimizer was built
    with momentum. All other operations use the value of `tensor`.

    Attributes:
        tensor: Tensor in the current step, or `None` before and after training.
        was_read: Whether the tensor has been read.
    """

    tensor = None
    was_read = False

    def __init__(self):
        super().__init__(0.0, trainable=False, autocast=False)

    @property
    def value(self):
        if self.tensor is None:
            return super().value
        self.was_read = True
        return self.tensor

    def __ne__(self, other):
        return True

    def __gt__(self, other):
        return True
