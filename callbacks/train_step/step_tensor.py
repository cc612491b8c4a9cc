"""A tensor of the step, where Keras expects a number."""

import keras


class StepTensor(keras.Variable):
    """Stands for a tensor that is computed in the step, as a hyperparameter.

    Keras' optimizers ask `momentum != 0` in Python, which a tensor cannot answer
    while it is traced. This can, as its value is not what the question is about: the
    optimizer has been built with a momentum. Everywhere else it is its `tensor`.

    Attributes:
        was_read: Whether anybody asked for the tensor.
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
