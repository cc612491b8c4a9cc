"""Training runs that survive a kill of the process."""

import dataclasses
import os
import time

from zoo.backend.keras_fit_internals import set_first_epoch
from zoo.utils.arguments import check_choice
from zoo.utils.printable import Printable

from .callback_group import CallbackGroup
from .resuming import pickles, training_state
from .resuming.arguments import check_directory, check_interval, interval_text
from .resuming.callback_state import as_arrays, check_states, take_states
from .resuming.check_callbacks import added_by_fit, check_callbacks, check_others
from .resuming.data_position import DataPosition
from .resuming.find_save import find_save
from .resuming.fit_call import FitCall, current_fit_call, current_logs
from .resuming.position import Position
from .resuming.restoration import Restoration
from .resuming.save_file import SaveFolder
from .resuming.settings import settings_of, versions
from .resuming.signals import Signals
from .train_step import updating_optimizers


class ResumeTraining(Printable, CallbackGroup):
    """Saves a training run, so that it can be resumed after the process was killed.

    The state of training is saved to a folder, also in the middle of an epoch. If the
    process is killed, run the same program again: `fit` resumes at the last save. The
    weights, the optimizer, the metrics, the History and the callbacks are then the same
    as those of an uninterrupted run, bit for bit, provided that the device computes
    deterministically. After the end of training, `fit` returns the History immediately.

    On SIGTERM (for example, preemption by a cluster) and SIGINT (Ctrl-C), the current
    step ends, as does a running validation. Then the state is saved, and the signal
    takes effect. A second signal takes effect immediately.

    The last two saves are kept, so there must be space for three. Each is written
    atomically and has a checksum. If the last save is damaged, the previous one is
    used, with a warning. Saves contain pickles, so load only saves that you trust.
    While a save is written, training waits. The folder is locked until training ends,
    or until the process ends after an exception. Do not train in several processes.

    A callback cannot access other callbacks. Pass all callbacks with a state to
    `callbacks` instead of passing them to `fit`, which warns about each of them. The
    complete state of callbacks of Keras and of kerascope is saved. For your own
    callbacks, the result of `get_state()` is saved and passed to `set_state(state)`, if
    they have these methods. Otherwise, their attributes are pickled, except paths in
    `directory`, `filename`, `filepath` and `log_dir`. `CSVLogger` removes rows that
    were written after the save. The event files of `TensorBoard` contain the steps
    after the save twice.

    Datasets of `zoo.datasets` resume in the middle of an epoch directly, as do arrays
    with `shuffle=False`, or on JAX and PyTorch. Other data are drawn again from the
    first epoch on, without training: shuffled arrays on TensorFlow, shuffled `tf.data`
    pipelines, a `PyDataset`, a generator, and any data with `steps_per_epoch` or of
    unknown length. A warning says if they may not come in the same order. On JAX,
    training with data of unknown length is saved only at the ends of epochs.

    All optimizers that are attributes of the model or its layers are saved. They must
    be built before `fit`, as must the layers of a model without `call`.

    The following cannot be saved: random generators in your own objects, the state of
    TensorFlow's `tf.random` operations in layers, and a model that a callback has
    compiled again during `fit`, which raises an error at the next save.

    PyTorch is tested on the CPU. `MirroredStrategy` and `keras.distribution` are tested
    with two devices in one process.

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
            callback cannot be saved, if another process uses the folder, or if settings
            differ from those of the save: the backend, the model, the arguments of
            `compile`, the data, the batch size, or the callbacks. The number of epochs
            may grow. A model without a config, such as most subclasses of
            `keras.Model`, is compared only by its class and variables. Your own
            `tf.data` pipelines, `PyDataset`s and generators are compared only by the
            shapes and the number of batches.
        OSError: Raised by `fit` if a save cannot be written, or if all saves are
            damaged.

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
        check_directory(directory)
        self.every, self.seconds = check_interval(every, seconds)
        super().__init__(check_callbacks(callbacks))
        self.directory = directory
        self.overwrite = check_choice("overwrite", overwrite, (False, True))
        self.verbose = check_choice("verbose", verbose, (0, 1))
        self._restoration: Restoration | None = None
        self._begun = ""
        self._trainable_in_step: list | None = None
        self._step_logs: dict = {}
        self._end_logs: dict = {}

    def on_train_begin(self, logs=None):
        call = current_fit_call(self.model)
        self.called[:] = self.callbacks
        check_others(call.callbacks, self)
        call.build()
        self._folder = SaveFolder(self.directory)
        try:
            self._begin(call, logs)
        except BaseException:  # Keras calls no more hooks
            set_first_epoch(self.model, None)
            self._folder.release()
            raise

    def on_epoch_begin(self, epoch, logs=None):
        has_begun = False  # whether the hooks of this epoch's beginning were called
        if self._restore():
            has_begun = self._position.is_within
        else:
            self._position.begin_epoch(epoch)
            if self._is_due(at_end_of_epoch=True):
                self._write()
        if not has_begun:
            self.pass_on("on_epoch_begin", epoch, logs)
            self._data_of_epoch = self._data.state()
        self._position.is_within = True

    def on_train_batch_begin(self, batch, logs=None):
        if self._restoration is not None:
            self._restoration.begin_step()
        self._end_step()
        self._position.batch = batch
        if self._data.can_be_saved_within and self._is_due():
            self._write()
        self.pass_on("on_train_batch_begin", batch, logs)
        if self._trainable_in_step is None:
            self._trainable_in_step = training_state.trainable_flags(self._model)
        self._has_stepped = True

    def on_test_begin(self, logs=None):
        self._end_step()
        super().on_test_begin(logs)

    def on_epoch_end(self, epoch, logs=None):
        self._end_step()
        if self._restoration is not None:
            self._restoration.complete(logs)
        steps = (self.params or {}).get("steps")
        self._position.end_epoch(self._model.steps_per_execution, steps)
        self.pass_on("on_epoch_end", epoch, logs)

    def on_train_end(self, logs=None):
        if self._restore():  # no epoch is left
            logs = self._restoration.state["end_logs"]
        else:
            if self._position.is_within:  # an epoch has ended
                self._position.begin_epoch(self._position.epoch + 1)
            self._position.is_stopped = bool(self.model.stop_training)
            # Saved before callbacks restore the best weights, to allow more epochs.
            self._end_logs = dict(logs or {})
            self._write()
        if not self._position.is_finished:
            self.pass_on("on_train_end", logs)
            self._position.is_finished = True
            self._write()
            self._signals.deliver()
        self._folder.release()

    def __str__(self) -> str:
        often = interval_text(self.every, self.seconds)
        text = f"{type(self).__name__}: saves to '{self.directory}' {often}."
        if not self._begun:
            return f"{text} Training has not begun yet."
        return f"{text} Training was {self._begun}, and {self._position.state}."

    def _begin(self, call: FitCall, logs) -> None:
        """Reads the save, or prepares to train from the beginning."""
        model = call.model
        training_state.check_optimizers(model)
        self._settings = settings_of(call, self.callbacks)
        self._compiled = training_state.compiled_objects(model)
        self._variables = training_state.state_variables(model)
        self._specs = training_state.specs(self._variables)
        self._saved_callbacks = [*self.callbacks, *added_by_fit(call.callbacks)]
        self._data = DataPosition(call)
        self._data_at_begin, self._data_of_epoch = self._data.state(), None
        self._epochs = call.arguments["epochs"]
        self._position = Position(epoch=call.arguments["initial_epoch"])
        self._trainable_in_step = None
        self._step_logs, self._end_logs = {}, {}
        self._has_stepped = self._has_checked = False
        self._restoration = None if self.overwrite else self._find(call)
        self._begun = (
            f"{'resumed' if self._restoration else 'begun'} at {self._position}"
        )
        if self._position.is_finished:
            self._begun = "already complete"
        self._data.warn(is_resumed=self._restoration is not None)
        self._saved_steps = self._position.all_steps
        self._saved_time = time.monotonic()
        if not self._position.is_finished:
            self.pass_on("on_train_begin", logs)
        if self._restoration is not None:
            self._restoration.give_states(self._saved_callbacks)
        else:
            check_states(self._saved_callbacks)
        if self.overwrite:
            self._folder.clear()
        if not self._position.is_finished:
            self._signals = Signals(call.epoch_iterator)

    def _find(self, call: FitCall) -> Restoration | None:
        """Finds the save at which to resume, and makes `fit` begin with its epoch."""
        optimizers = updating_optimizers(call.model.optimizer)
        averages_weights = any(optimizer.use_ema for optimizer in optimizers)
        save = find_save(
            self._folder,
            self._settings,
            self._epochs,
            averages_weights=averages_weights,
        )
        if save is None:
            return None
        restoration = Restoration(save, call, self._data)
        restoration.begin()
        self._position, state = restoration.position, restoration.state
        self._data_at_begin = state["data_at_begin"]
        self._data_of_epoch = state["data_of_epoch"]
        self._trainable_in_step = state["trainable_in_step"]
        self._step_logs, self._end_logs = state["step_logs"], state["end_logs"]
        if self._position.is_finished:
            end = self._position.epoch
            self._print(f"Training has already ended, after epoch {end}.")
        else:
            self._print(f"Resuming training at {self._position}.")
        return restoration

    def _restore(self) -> bool:
        """Restores the save, unless this has been done; returns whether it has not."""
        restoration = self._restoration
        if restoration is None or not restoration.is_pending:
            return False
        restoration.restore()
        return True

    def _end_step(self) -> None:
        """Checks the model and restores its flags after the first step."""
        if self._has_stepped and not self._has_checked:
            self._has_checked = True
            if self._restoration is not None:
                self._restoration.end_step()
            training_state.check_not_recompiled(self._model, self._compiled)
            training_state.check_same_variables(self._model, self._variables)

    def _is_due(self, *, at_end_of_epoch: bool = False) -> bool:
        done = self._position.all_steps
        if self._signals.received is not None:
            return True
        if done == self._saved_steps:
            return False
        if self.seconds is not None:
            return time.monotonic() - self._saved_time >= self.seconds
        if not isinstance(self.every, int):
            return at_end_of_epoch
        return done // self.every > self._saved_steps // self.every

    def _write(self) -> None:
        """Saves the current state, and delivers a signal that was held back."""
        model, position = self.model, self._position
        training_state.check_not_recompiled(model, self._compiled)
        if self._data.may_end:
            self._step_logs = as_arrays(current_logs(model)) or self._step_logs
        header = {
            "settings": self._settings,
            "versions": versions(),
            "epochs": self._epochs,
            "position": dataclasses.asdict(position),
            "arrays": self._specs,
        }
        state = {
            "data_at_begin": self._data_at_begin,
            "data_of_epoch": self._data_of_epoch,
            "data": self._data.state(),
            "step_logs": self._step_logs,
            "end_logs": self._end_logs,
            "trainable_in_step": self._trainable_in_step,
            "trainable": training_state.trainable_flags(model),
            "stop_training": bool(model.stop_training),
            "history": training_state.history_state(model.history),
            "callbacks": take_states(self._saved_callbacks),
        }
        values = training_state.values(self._variables)
        self._folder.write(header, self._pickled(state), values)
        self._saved_steps, self._saved_time = position.all_steps, time.monotonic()
        if self._signals.received is not None and not position.is_finished:
            self._print(
                f"\nTraining is saved in '{self.directory}', at {position}. Run the "
                "same program again to resume it."
            )
            self._folder.release()
            self._signals.deliver()
            self._folder.lock()  # the handler lets training continue

    def _pickled(self, state: dict) -> list:
        try:
            return pickles.dump(state)
        except Exception:
            check_states(self._saved_callbacks)  # names the cause
            raise

    def _print(self, message: str) -> None:
        if self.verbose:
            print(message, flush=True)
