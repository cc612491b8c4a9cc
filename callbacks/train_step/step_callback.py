"""A callback of which a part runs inside the training step."""

import keras

from .common import make_variable
from .train_function import TrainFunction


class StepCallback(keras.callbacks.Callback):
    """Takes part in the training step that `fit` compiles.

    What a subclass does in `begin_step`, with `keras.ops`, is compiled with the step:
    it costs no synchronisation, and sees every batch under `steps_per_execution` too.
    The optimizers have their `optimizer_attributes` while the train function is
    called, which is when it is traced; at all other times they are as compiled.

    Several callbacks of one `fit` share one step, in the order of the list. After
    `fit` the model has the train function that it had.
    """

    def begin_step(self, optimizer: keras.optimizers.Optimizer) -> None:
        """Runs at the beginning of every step, inside what is compiled.

        Under one call of the train function it may run for several steps, and for
        several replicas: what the optimizer was compiled with must not be read from
        an attribute that `optimizer_attributes` replaces.

        Args:
            optimizer: The optimizer of the model; of a `LossScaleOptimizer`, the
                inner one.
        """

    def step_variables(self) -> list[keras.Variable]:
        """Returns the variables that `begin_step` reads and assigns.

        They belong to the callback: neither the model nor the optimizer tracks or
        saves them. Between two steps they can be read and assigned freely.
        """
        return []

    def optimizer_attributes(self) -> dict:
        """Returns attributes that the optimizer has during the step, by name."""
        return {}

    def attributes_of(self, optimizer: keras.optimizers.Optimizer) -> dict:
        """Returns the attributes of one of the optimizers that update weights."""
        return self.optimizer_attributes()

    def prepare_step(self) -> None:
        """Runs when the model has another train function, before its first step."""

    def check_step(self) -> None:
        """Runs once after the first step, to see whether it did what it is for.

        Where steps are not compiled, it runs after the first epoch.
        """

    def step_key(self) -> tuple | None:
        """Returns what tells the part in the step from that of other callbacks.

        With an equal key a compiled step of an earlier `fit` can be used again, after
        `take_over()`. An empty one says that the callback takes no part in the step;
        `None`, that it must be compiled.
        """
        return None

    def step_part(self) -> "StepCallback":
        """Returns what runs in the step, which can outlive the callback's `fit`."""
        return self

    def take_over(self, other: "StepCallback") -> None:
        """Goes on with the step variables of a callback with an equal key."""

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
        self._train_function = TrainFunction.of(self.model, self.params, logs)
        self._train_function.add(self)

    def on_train_batch_begin(self, batch, logs=None):
        self._train_function.announce()

    def on_epoch_end(self, epoch, logs=None):
        self._train_function.check()

    def on_train_end(self, logs=None):
        self._train_function.remove()
        self._train_function = None
