"""The base class for callbacks that run inside the training step."""

import keras

from zoo.backend.train_step import make_variable

from .train_function import TrainFunction


class StepCallback(keras.callbacks.Callback):
    """Base class for callbacks that run a method inside the compiled training step.

    A subclass implements `begin_step` with `keras.ops`. This method is compiled as part
    of the step, so it requires no synchronization and runs for every batch, even with
    `steps_per_execution`. While the train function is traced or runs, the attributes
    returned by `attributes_of` replace the corresponding attributes of the optimizers.

    All such callbacks in one call to `fit` share one step, and run in the order of the
    callback list. After `fit`, the original train function of the model is restored.

    If `sample_size` is set, `self._train_function.batch_sample()` returns the first
    examples of a batch, as a `BatchSample`. The sample is taken outside the compiled
    step.

    Attributes:
        sample_size: Maximum number of examples in a sample, or 0, which samples no
            batches. The largest number that a callback requests applies to all of them.
        sample_every: Number of calls to the train function from one sample to the next,
            starting with the first step of `fit`. Each call runs one step, unless
            `steps_per_execution` is greater than 1. If gradients are accumulated, the
            number of updates of the weights. `None` samples only the first step.
    """

    sample_size: int = 0
    sample_every: int | None = None

    def begin_step(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Runs at the beginning of every step, inside the compiled step.

        One call to the train function may run this method for several steps and
        replicas. The attributes in `optimizer_attributes` are replaced while the method
        runs, so they do not contain the optimizer's original values.

        Args:
            optimizer: Optimizer of the model, or the inner optimizer of a
                `LossScaleOptimizer`.
        """

    def step_variables(self) -> list[keras.Variable]:
        """Returns the variables that `begin_step` reads and assigns.

        These variables belong to the callback. Neither the model nor the optimizer
        tracks or saves them. They can be read and assigned between steps.
        """
        return []

    def optimizer_attributes(self) -> dict:
        """Returns a dict of the attributes to replace on all optimizers in the step."""
        return {}

    def attributes_of(self, optimizer: keras.optimizers.Optimizer) -> dict:
        """Returns a dict of the attributes to replace on the given optimizer."""
        return self.optimizer_attributes()

    def prepare_step(self) -> None:
        """Runs before the next step if the model's train function has been replaced."""

    def check_step(self) -> None:
        """Runs once after the first step, to check that the callback took effect.

        If steps are not compiled, this method runs after the first epoch.
        """

    def step_key(self) -> tuple | None:
        """Returns a key that identifies the computation of the callback in the step.

        If a callback in an earlier call to `fit` had the same key, the step of that
        call can be reused after `take_over()`. An empty key means that the callback
        adds nothing to the step. `None` means that the step cannot be reused.
        """
        return None

    def participant(self) -> "StepCallback":
        """Returns the object that runs in the step.

        Later calls to `fit` may use the same object.
        """
        return self

    def take_over(self, other: "StepCallback") -> None:
        """Adopts the step variables of a callback with the same key."""

    def make_step_variable(self, value, dtype: str) -> keras.Variable:
        """Creates a scalar variable for use in `begin_step`."""
        return make_variable(self.model, value, dtype)

    def __getstate__(self):
        # These objects belong to one call to `fit`. A copy creates new ones.
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
