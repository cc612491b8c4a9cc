"""Training runs that survive a kill of the process."""

import dataclasses
import os
import pickle
import time

from zoo.backend.keras_fit_internals import set_first_epoch
from zoo.backend.train_step import is_compiled
from zoo.utils.arguments import (
    check_choice,
    check_integer,
    check_positive,
    invalid_argument,
)

from .resuming import training_state
from .resuming.callback_group import CallbackGroup
from .resuming.callback_state import give_states, take_states
from .resuming.check_callbacks import added_by_fit, check_callbacks, check_others
from .resuming.data_position import DataPosition
from .resuming.find_save import find_save
from .resuming.fit_call import current_fit_call
from .resuming.position import Position
from .resuming.random_state import set_random_state
from .resuming.save_file import SaveFolder
from .resuming.settings import settings_of
from .resuming.signals import Signals
from .train_step import updating_optimizers


class ResumeTraining(CallbackGroup):
    """Saves a training run, so that it can be resumed after the process was killed.

    The state of training is saved to a folder, also in the middle of an epoch. If the
    process is killed, run the same program again: `fit` resumes at the last save. The
    weights, the optimizer, the metrics, the History and the callbacks are then the same
    as those of an uninterrupted run, bit for bit, provided that the device computes
    deterministically. After the end of training, `fit` returns the History immediately.

    On SIGTERM (for example, preemption by a cluster) and SIGINT (Ctrl-C), the current
    step ends, as does a running validation. Then the state is saved, and the signal
    takes effect. A second signal takes effect immediately.

    The last two saves are kept. Each is written atomically and has a checksum. If the
    last save is damaged, the previous one is used, with a warning. Saves contain
    pickles, so load only saves that you trust. While a save is written, training waits.

    A callback cannot access other callbacks. Pass all callbacks with a state to
    `callbacks` instead of passing them to `fit`. The complete state of callbacks of
    Keras and of kerascope is saved. For your own callbacks, the result of `get_state()`
    is saved and passed to `set_state(state)`, if they have these methods. Otherwise,
    their attributes are pickled. `CSVLogger` removes rows that were written after the
    save. The event files of `TensorBoard` contain the steps after the save twice.

    Datasets of `zoo.datasets` and arrays resume in the middle of an epoch. Other data
    (shuffled `tf.data` pipelines, a `PyDataset`, a generator, and any data with
    `steps_per_epoch`) are drawn again from the first epoch on, without training. A
    warning says if they may not come in the same order.

    The following cannot be saved: random generators in your own objects, the state of
    TensorFlow's `tf.random` operations in layers, and a model that a callback has
    compiled again during `fit`, which raises an error at the next save.

    Args:
        directory: Folder for the saves of this training run, created if it does not
            exist.
        every: Integer >= 1: number of steps from one save to the next. Or "epoch": save
            at the end of every epoch. Defaults to `None`, which means "epoch" unless
            `seconds` is given.
        seconds: Number > 0: number of seconds from one save to the next, instead of
            `every`. Defaults to `None`.
        callbacks: Callbacks whose state is saved, in the order in which they are
            called. Do not pass them to `fit`. Defaults to `()`.
        overwrite: Whether to remove existing saves and start again. Defaults to
            `False`.
        verbose: If 1, the callback prints where training is resumed, and how to resume
            it after a signal. If 0, it prints nothing. Defaults to `1`.

    Raises:
        ValueError: If an argument is invalid. Also raised by `fit` if the state of a
            callback cannot be saved, or if settings differ from those of the save: the
            backend, the model, the arguments of `compile`, the data, the batch size, or
            the callbacks. The number of epochs may grow.
        OSError: Raised by `fit` if a save cannot be written.

    Example:

    >>> import tempfile
    >>> folder = tempfile.TemporaryDirectory()
    >>> x, y = np.ones((8, 1)), np.zeros((8, 1))
    >>> def train():
    ...     model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    ...     model.compile("sgd", "mse")
    ...     resume = ResumeTraining(folder.name)
    ...     return model.fit(x, y, epochs=2, verbose=0, callbacks=[resume])
    >>> history = train()
    >>> train().history == history.history  # run again after the end
    Training has already ended, after epoch 2.
    True
    >>> folder.cleanup()
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        every: int | str | None = None,
        *,
        seconds: float | None = None,
        callbacks=(),
        overwrite: bool = False,
        verbose: int = 1,
    ):
        if not isinstance(directory, str | os.PathLike):
            raise invalid_argument("directory", "the path of a folder", directory)
        if every is not None and seconds is not None:
            fix = "`seconds` replaces `every`."
            raise invalid_argument("every", "None with `seconds`", every, fix)
        if isinstance(every, str):
            check_choice("every", every, ("epoch",))
        elif every is not None:
            check_integer("every", every, minimum=1)
        if seconds is not None:
            seconds = check_positive("seconds", seconds)
        super().__init__(check_callbacks(callbacks))
        self.directory = directory
        self.every = "epoch" if every is None and seconds is None else every
        self.seconds = seconds
        self.overwrite = check_choice("overwrite", overwrite, (False, True))
        self.verbose = check_choice("verbose", verbose, (0, 1))

    def on_train_begin(self, logs=None):
        call = current_fit_call(self.model)
        self.called[:] = self.callbacks
        check_others(call.callbacks, self)
        call.build()
        self._folder = SaveFolder(self.directory)
        if self.overwrite:
            self._folder.clear()
        self._settings = settings_of(call, self.callbacks)
        self._compiled = training_state.compiled_objects(self.model)
        self._trainable_in_step = self._trainable_after_step = None
        self._saved_callbacks = [*self.callbacks, *added_by_fit(call.callbacks)]
        self._data = DataPosition(call)
        self._epochs = call.arguments["epochs"]
        self._first_epoch = call.arguments["initial_epoch"]
        self._data_at_begin = self._data.state()
        self._data_of_epoch = self._random_after_skip = self._metrics = None
        self._position = Position(epoch=self._first_epoch)
        self._has_stepped = False
        self._saved_steps, self._saved_time = 0, time.monotonic()
        self._pending = find_save(
            self._folder,
            self._settings,
            self._epochs,
            averages_weights=any(
                one.use_ema for one in updating_optimizers(self.model.optimizer)
            ),
        )
        self._data.warn(is_resumed=self._pending is not None)
        if self._pending is not None:
            self._load()
        if not self._position.is_finished:
            self.pass_on("on_train_begin", logs)
            self._signals = Signals(self.model)
        if self._pending is not None:
            give_states(self._saved_callbacks, self._state["callbacks"])
        else:
            take_states(self._saved_callbacks)  # raises errors now, not at the save

    def on_epoch_begin(self, epoch, logs=None):
        has_begun = False  # whether the hooks of this epoch's beginning were called
        if self._pending is not None:
            has_begun = self._position.is_within
            self._restore()
        else:
            self._position.begin_epoch(epoch)
            if self._is_due(at_end_of_epoch=True):
                self._write()
        if not has_begun:
            self.pass_on("on_epoch_begin", epoch, logs)
            self._data_of_epoch = self._data.state()
        self._position.is_within = True

    def on_train_batch_begin(self, batch, logs=None):
        if self._random_after_skip is not None:
            set_random_state(self._random_after_skip)
            self._random_after_skip = None
        self._restore_trainable()
        self._position.batch = batch
        if self._is_due():
            self._write()
        self.pass_on("on_train_batch_begin", batch, logs)
        if self._trainable_in_step is None:
            self._trainable_in_step = training_state.trainable_flags(self._model)
        self._has_stepped = True

    def on_test_begin(self, logs=None):
        self._restore_trainable()
        super().on_test_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        self._restore_trainable()
        if self._metrics is not None:
            self._complete(logs)
        steps_per_execution = self._model.steps_per_execution
        self._position.end_epoch(steps_per_execution, self.params["steps"])
        self.pass_on("on_epoch_end", epoch, logs)

    def on_train_end(self, logs=None):
        if self._pending is not None:  # no epoch is left
            self._restore()
        else:
            self._position.begin_epoch(self._position.epoch + 1)
            self._position.is_stopped = bool(self.model.stop_training)
            # Saved before callbacks restore the best weights, to allow more epochs.
            self._write()
        if self._position.is_finished:
            return
        self.pass_on("on_train_end", logs)
        self._position.is_finished = True
        self._write()
        self._signals.deliver()

    def _is_due(self, *, at_end_of_epoch: bool = False) -> bool:
        done = self._position.all_steps
        if self._signals.received is not None:
            return True
        if done == self._saved_steps:
            return False
        if self.seconds is not None:
            return time.monotonic() - self._saved_time >= self.seconds
        if self.every == "epoch":
            return at_end_of_epoch
        return done // self.every > self._saved_steps // self.every

    def _write(self) -> None:
        """Saves the current state, and delivers a signal that was held back."""
        model, position = self.model, self._position
        training_state.check_not_recompiled(model, self._compiled)
        variables = training_state.state_variables(model)
        header = {
            "settings": self._settings,
            "epochs": self._epochs,
            "position": dataclasses.asdict(position),
            "arrays": training_state.specs(variables),
        }
        state = {
            "data_at_begin": self._data_at_begin,
            "data_of_epoch": self._data_of_epoch,
            "data": self._data.state(),
            "trainable_in_step": self._trainable_in_step,
            "trainable": training_state.trainable_flags(model),
            "history": training_state.history_state(model.history),
            "callbacks": take_states(self._saved_callbacks),
        }
        values = training_state.values(variables)
        self._folder.write(header, pickle.dumps(state), values)
        self._saved_steps, self._saved_time = position.all_steps, time.monotonic()
        if self._signals.received is not None and not position.is_finished:
            self._print(
                f"\nTraining is saved in '{self.directory}', at {position}. Run the "
                "same program again to resume it."
            )
            self._signals.deliver()

    def _print(self, message: str) -> None:
        if self.verbose:
            print(message, flush=True)

    def _load(self) -> None:
        """Reads the save, and makes `fit` begin with its epoch."""
        header = self._pending.header
        self._state = pickle.loads(self._pending.state)
        self._position = Position(**header["position"])
        self._saved_steps = self._position.all_steps
        self._data_at_begin = self._state["data_at_begin"]
        is_over = self._position.is_finished or self._position.is_stopped
        first_epoch = self._epochs if is_over else self._position.epoch
        set_first_epoch(self.model, first_epoch)
        self._assign_variables()
        if self._position.is_finished:
            self._print(
                f"Training has already ended, after epoch {self._position.epoch}."
            )
        else:
            self._print(f"Resuming training at {self._position}.")

    def _restore(self) -> None:
        """Restores what Keras has changed since the beginning of `fit`."""
        model, state, position = self.model, self._state, self._position
        set_first_epoch(model, None)
        continues = position.epoch < self._epochs and not position.is_stopped
        if continues:
            self._restore_data()
        self._assign_variables()
        if continues and not position.is_within:
            model.reset_metrics()  # a save at the end has those of the validation
        training_state.set_history(model.history, state["history"])
        if position.is_within:
            # If the epoch has no steps left, `fit` does not read the metrics.
            self._metrics = training_state.metrics_result(model)
        model.stop_training = position.is_stopped
        self._prepare_trainable(continues)
        self._pending = self._state = None

    def _restore_data(self) -> None:
        if self._data.is_replayed:
            self._data.set_state(self._data_at_begin)
            self._data.replay_epochs(self._position.epoch - self._first_epoch)
        state = self._state["data"]
        if self._position.is_within:
            self._data_of_epoch = self._state["data_of_epoch"]
            self._data.set_state(self._data_of_epoch)
            self._data.skip_steps(self._position.batch)
            self._random_after_skip = state["random"]
        else:
            self._data.set_state(state)

    def _assign_variables(self) -> None:
        variables = training_state.state_variables(self.model)
        training_state.assign(variables, self._pending.arrays())

    def _prepare_trainable(self, continues: bool) -> None:
        """Restores the `trainable` flags, some of them only after the first step.

        A compiled step keeps using the flags with which it was traced.
        """
        in_step = self._trainable_in_step = self._state["trainable_in_step"]
        now = self._state["trainable"]
        if continues and in_step is not None and is_compiled(self.model):
            training_state.set_trainable_flags(self.model, in_step)
            self._trainable_after_step = now
        else:
            training_state.set_trainable_flags(self.model, now)

    def _restore_trainable(self) -> None:
        if self._has_stepped and self._trainable_after_step is not None:
            flags, self._trainable_after_step = self._trainable_after_step, None
            training_state.set_trainable_flags(self._model, flags)

    def _complete(self, logs: dict) -> None:
        """Adds the metrics of an epoch that was saved after its last step."""
        if not self._metrics.keys() & logs.keys():
            validation = dict(logs)
            logs.clear()
            logs.update({**self._metrics, **validation})
        self._metrics = None
