"""Brings a call to `fit` back to a save."""

from zoo.backend.keras_fit_internals import set_first_epoch
from zoo.backend.train_step import is_compiled

from . import pickles, training_state
from .callback_state import give_states
from .data_position import DataPosition
from .fit_call import FitCall
from .position import Position
from .random_state import set_random_state
from .save_file import Save


class Restoration:
    """Resumes a call to `fit` at a save.

    The methods are called in this order: `begin`, `give_states`, `restore`,
    `begin_step`, and `end_step`.

    Args:
        save: The save.
        call: The call to `fit`.
        data: Position of the data of this call.

    Attributes:
        position: `Position` of the save.
        state: The dict that was saved.
        is_pending: Whether `restore` must still be called.
    """

    def __init__(self, save: Save, call: FitCall, data: DataPosition):
        self._save, self._model, self._data = save, call.model, data
        self._epochs = call.arguments["epochs"]
        self._first_epoch = call.arguments["initial_epoch"]
        self.position = Position(**save.header["position"])
        self.state = pickles.load(save.state())
        self.is_pending = True
        self._random_after_skip: dict | None = None
        self._trainable_after_step: list | None = None
        self._logs: dict | None = None

    def begin(self) -> None:
        """Makes `fit` begin with the epoch of the save. Called in `on_train_begin`."""
        is_over = self.position.is_finished or self.position.is_stopped
        first_epoch = self._epochs if is_over else self.position.epoch
        set_first_epoch(self._model, first_epoch)
        # `restore` does this again, but callbacks may read weights before.
        self._assign_variables()

    def give_states(self, callbacks: list) -> None:
        """Restores the states of callbacks, after their `on_train_begin`."""
        give_states(callbacks, self.state.pop("callbacks"))

    def restore(self) -> None:
        """Restores all that Keras has changed since `on_train_begin`.

        Called in the first `on_epoch_begin`, or in `on_train_end` if no epoch is left.
        """
        model, state, position = self._model, self.state, self.position
        set_first_epoch(model, None)
        continues = position.epoch < self._epochs and not position.is_stopped
        if continues:
            self._restore_data()
        else:
            self._data.set_state(state["data"])  # for the rest of the program
        self._assign_variables()
        if continues and not position.is_within:
            model.reset_metrics()  # a save at the end has those of the validation
        if position.is_within and self._data.may_end:
            self._logs = training_state.logs_of_epoch(model, state["step_logs"])
        training_state.set_history(model.history, state["history"])
        model.stop_training = state["stop_training"]
        self._prepare_trainable(continues)
        self.is_pending = False

    def begin_step(self) -> None:
        """Restores the random state after batches were drawn again for the first step.

        Called at the beginning of every step.
        """
        if self._random_after_skip is not None:
            set_random_state(self._random_after_skip)
            self._random_after_skip = None

    def end_step(self) -> None:
        """Restores the `trainable` flags after the first step.

        Called at the end of the first step, or later.
        """
        if self._trainable_after_step is not None:
            flags, self._trainable_after_step = self._trainable_after_step, None
            training_state.set_trainable_flags(self._model, flags)

    def complete(self, logs: dict | None) -> None:
        """Adds the logs of the first epoch if no steps of this epoch were left.

        Called in `on_epoch_end`.
        """
        own, self._logs = self._logs, None
        if own is not None and logs is not None and not own.keys() & logs.keys():
            validation = dict(logs)
            logs.clear()
            logs.update({**own, **validation})

    def _restore_data(self) -> None:
        data, state = self._data, self.state
        data.replay_epochs(
            state["data_at_begin"], self.position.epoch - self._first_epoch
        )
        if self.position.is_within:
            data.set_state_of_epoch(state["data_of_epoch"])
            data.skip_steps(self.position.batch)
            self._random_after_skip = state["data"]["random"]
        else:
            data.set_state_of_epoch(state["data"])

    def _assign_variables(self) -> None:
        variables = training_state.state_variables(self._model)
        training_state.assign(variables, self._save.arrays())

    def _prepare_trainable(self, continues: bool) -> None:
        """Restores the `trainable` flags, some of them only after the first step.

        A compiled step keeps using the flags with which it was traced.
        """
        in_step, now = self.state["trainable_in_step"], self.state["trainable"]
        if continues and in_step is not None and is_compiled(self._model):
            training_state.set_trainable_flags(self._model, in_step)
            self._trainable_after_step = now
        else:
            training_state.set_trainable_flags(self._model, now)
