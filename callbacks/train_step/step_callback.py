"""A callback of which a part runs inside the training step."""

import keras

from .common import make_variable
from .train_function import TrainFunction


class StepCallback(keras.callbacks.Callback):
    """Takes part in the training step that `fit` compiles.

    What a subclass does in `begin_step`, with `keras.ops`, is compiled with the step:
    it costs no synchronisation, and sees every batch under `steps_per_execution` too.
    The optimizer has its `optimizer_attributes` while the train function is called,
    which is when it is traced; at all other times it is as it was compiled.

    Several callbacks of one `fit` share one step, in the order of the list. A `fit`
    with such a callback compiles its step anew, and leaves the model with the one it
    had.
    """

    def begin_step(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Runs at the beginning of every step, inside of what is compiled.

        Under one call of the train function it may run for several steps, and for
        several replicas: what the optimizer was compiled with must not be read from
        an attribute that `optimizer_attributes` replaces.

        Args:
            optimizer: The optimizer that updates the weights; of a
                `LossScaleOptimizer`, the inner one.
        """

    def step_variables(self) -> list[keras.Variable]:
        """Returns the variables that `begin_step` reads and assigns.

        They belong to the callback: neither the model nor the optimizer tracks or
        saves them. Between two steps they can be read and assigned freely.
        """
        return []

    def optimizer_attributes(self) -> dict:
        """Returns attributes that the optimizer has during the step, by name.

        It is asked once, when `fit` begins.
        """
        return {}

    def make_step_variable(self, value, dtype: str) -> keras.Variable:
        """Returns a new scalar variable that `begin_step` may use."""
        return make_variable(self.model, value, dtype)

    def __getstate__(self):
        # What belongs to one `fit` stays there: a copy makes its own in the next.
        return {
            name: value
            for name, value in vars(self).items()
            if not isinstance(value, TrainFunction | keras.Variable)
        }

    def on_train_begin(self, logs=None):
        self._train_function = TrainFunction.of(self.model, fit=self.params)
        self._train_function.add(self)

    def on_train_batch_begin(self, batch, logs=None):
        self._train_function.announce()

    def on_train_end(self, logs=None):
        self._train_function.remove()
