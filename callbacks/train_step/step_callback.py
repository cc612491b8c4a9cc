"""The base class of callbacks that run inside the training step."""

import keras

from zoo.backend.train_step import make_variable

from .train_function import TrainFunction


class StepCallback(keras.callbacks.Callback):
    """Runs a method of the callback inside the training step that `fit` compiles.

    A subclass implements `begin_step` with `keras.ops`. It is compiled with the step,
    so it needs no synchronization and runs for every batch, even with
    `steps_per_execution`. While the train function is called, and therefore while it is
    traced, the attributes in `attributes_of` replace those of the optimizers.

    Several callbacks in one `fit` share one step and run in the order of the list.
    After `fit`, the original train function of the model is restored.
    """

    def begin_step(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Runs at the beginning of every step, inside the compiled step.

        One call of the train function may run it for several steps and several
        replicas. Do not read a compiled value from an attribute that
        `optimizer_attributes` replaces.

        Args:
            optimizer: Optimizer of the model, or the inner optimizer of a
                `LossScaleOptimizer`.
        """

    def step_variables(self) -> list[keras.Variable]:
        """Returns the variables that `begin_step` reads and assigns.

        They belong to the callback. Neither the model nor the optimizer tracks or
        saves them. They can be read and assigned between steps.
        """
        return []

    def optimizer_attributes(self) -> dict:
        """Returns attributes to replace on the optimizers during the step, by name."""
        return {}

    def attributes_of(self, optimizer: keras.optimizers.Optimizer) -> dict:
        """Returns the attributes to replace on a given updating optimizer, by name."""
        return self.optimizer_attributes()

    def prepare_step(self) -> None:
        """Runs after the train function was replaced, before its first step."""

    def check_step(self) -> None:
        """Runs once after the first step, to check that the callback took effect.

        If steps are not compiled, it runs after the first epoch.
        """

    def step_key(self) -> tuple | None:
        """Returns a key that identifies the computation of the callback in the step.

        If the keys are equal, a compiled step from an earlier `fit` can be reused after
        `take_over()`. An empty key means that the callback adds nothing to the step.
        `None` means that the step cannot be reused.
        """
        return None

    def participant(self) -> "StepCallback":
        """Returns the object that runs in the step, which may outlive this `fit`."""
        return self

    def take_over(self, other: "StepCallback") -> None:
        """Adopts the step variables of a callback with an equal key."""

    def make_step_variable(self, value, dtype: str) -> keras.Variable:
        """Creates a scalar variable for use in `begin_step`."""
        return make_variable(self.model, value, dtype)

    def __getstate__(self):
        # These belong to one `fit`. A copy creates its own in the next one.
        return {
            name: value
            for name, value in vars(self).items()
            if not isinstance(value, TrainFunction | keras.Variable)
        }

    def on_train_begin(self, logs=None):
        self._train_function = TrainFunction.of(self.model, self.params, logs)
        self._train_function.add(self)

    def on_train_batch_begin(self, batch, logs=None):
        self._train_function.announce()

    def on_epoch_end(self, epoch, logs=None):
        self._train_function.check()

    def on_train_end(self, logs=None):
        self._train_function.remove()
        self._train_function = None
