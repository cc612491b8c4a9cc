"""A callback of which a part runs inside the training step."""

import contextlib

import keras

from .train_function import TrainFunction


class StepCallback(keras.callbacks.Callback):
    """Takes part in the training step that `fit` compiles.

    A subclass gives `step_variables()` and `begin_step()`. What `begin_step` does with
    `keras.ops` is compiled with the step: it costs no synchronisation, and sees every
    batch under `steps_per_execution` too. The optimizer is patched while a step is
    traced or, where nothing is compiled, while it runs; at all other times it is as
    it was compiled.

    Several callbacks of one `fit` share one step, in the order of the list. A `fit`
    with such a callback compiles its step anew, and leaves the model with the one it
    had.
    """

    def step_variables(self) -> list[keras.Variable]:
        """Returns the variables that `begin_step` reads and assigns.

        They belong to the callback: neither the model nor the optimizer tracks or
        saves them. Between two steps they can be read and assigned freely.
        """
        return []

    def begin_step(self, optimizer: keras.optimizers.Optimizer) -> dict:
        """Runs at the beginning of every step, inside of what is compiled.

        Args:
            optimizer: The optimizer that updates the weights; of a
                `LossScaleOptimizer`, the inner one.

        Returns:
            A dictionary of attributes that the optimizer has during this step.
        """
        return {}

    def make_step_variable(self, value, dtype: str) -> keras.Variable:
        """Returns a new scalar variable that `begin_step` may use."""
        # TensorFlow's strategies want variables that are made in their scope.
        strategy = getattr(self.model, "distribute_strategy", None)
        with strategy.scope() if strategy else contextlib.nullcontext():
            return keras.Variable(
                value,
                shape=(),
                dtype=dtype,
                trainable=False,
                autocast=False,
                aggregation="only_first_replica",
            )

    def on_train_begin(self, logs=None):
        self._train_function = TrainFunction.of(self.model, fit=self.params)
        self._train_function.callbacks.append(self)

    def on_train_batch_begin(self, batch, logs=None):
        self._train_function.announce()

    def on_train_end(self, logs=None):
        self._train_function.remove()
