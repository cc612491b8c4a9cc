"""Training that goes on where it was killed."""

import dataclasses
import functools
import os
import pickle
import time

import keras

from zoo.arguments import (
    check_choice,
    check_integer,
    check_positive,
    invalid_argument,
)

from .resuming import training_state
from .resuming.callback_state import (
    check_callbacks,
    check_others,
    give_states,
    take_states,
)
from .resuming.data_position import DataPosition, warn_of_doubts
from .resuming.fit_call import current_fit_call
from .resuming.position import Position
from .resuming.save_file import Save, SaveFolder
from .resuming.settings import check_same, settings_of
from .resuming.signals import Signals
from .train_step import updating_optimizer


class ResumeTraining(keras.callbacks.Callback):
    """Makes training survive a kill: the same program ends as if nothing had happened.

    The state of the training is saved in a folder, in the middle of epochs too. When
    the same program runs again after a crash, `fit` goes on at the last save, and ends
    with the same weights, optimizer, metrics, History and callbacks as an
    uninterrupted run, bit for bit, where the device computes the same twice. After the
    end, `fit` returns at once, with the History.

    SIGTERM (a cluster's preemption) and SIGINT (Ctrl-C) are waited with until the
    running step has ended, and the validation if it is running: then the training is
    saved, and the signal does what it does. A second one acts at once.

    Two saves are kept. Each is written whole or not at all and has a checksum; if the
    last one is damaged, the one before it is used, with a warning. A save holds
    pickles: read only those that you trust.

    A callback does not see the others, so those that have a state must be handed to
    this one, which passes every call on to them. For Keras' callbacks and those of
    kerascope all is kept; `CSVLogger` loses the rows that were written after the save.
    A callback of your own is asked by `get_state()` and told by `set_state(state)`, if
    it has them; else its attributes are pickled. Event files of TensorBoard have the
    steps after the save twice.

    Data of `zoo.datasets` go on in the middle of an epoch, and so do arrays. Other data
    (`tf.data` pipelines that shuffle, a `PyDataset`, a generator, with
    `steps_per_epoch` all) are drawn again from the first epoch on, without training.
    If they cannot be known to come in the same order, a warning says why.

    Not saved are random generators that no one else can reach: those of the user's own
    objects, and TensorFlow's stateful operations (`tf.random`) in a layer.

    Args:
        directory: Folder of the saves of this training, made where it does not exist.
        every: Integer >= 1: save after so many steps. Or "epoch": save at the end of
            every epoch. Defaults to `None`, which is "epoch" unless `seconds` is given.
        seconds: Number > 0: save after so many seconds, in place of `every`. Defaults
            to `None`.
        callbacks: Callbacks of which the state is kept, in the order in which they are
            called. They are not passed to `fit`. Defaults to `()`.
        overwrite: Whether to remove the saves that are there, and begin again. Defaults
            to `False`.

    Raises:
        ValueError: If an argument is invalid; in `fit`, if the state of a callback
            cannot be saved, or if settings differ from those of the save (the model,
            how it was compiled, data, batch size, callbacks; the number of epochs may
            grow).
        OSError: In `fit`, if a save cannot be written.

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
    >>> train().history == history.history  # as after the end, in another process
    The training has ended, at epoch 2: nothing is left to do.
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
    ):
        super().__init__()
        if not isinstance(directory, str | os.PathLike):
            raise invalid_argument("directory", "the path of a folder", directory)
        if every is not None and seconds is not None:
            fix = "`seconds` takes the place of `every`."
            raise invalid_argument("every", "None with `seconds`", every, fix)
        if isinstance(every, str):
            check_choice("every", every, ("epoch",))
        elif every is not None:
            check_integer("every", every, minimum=1)
        if seconds is not None:
            seconds = check_positive("seconds", seconds)
        self.directory = directory
        self.every = "epoch" if every is None and seconds is None else every
        self.seconds = seconds
        self.callbacks = check_callbacks(callbacks)
        self.called = list(self.callbacks)  # or what stands for them during a `fit`
        self.overwrite = check_choice("overwrite", overwrite, (False, True))
        self._pass_on_if_needed("on_train_batch_end", "on_batch_end")
        self._pass_on_if_needed("on_test_batch_end", "on_batch_end")

    def set_params(self, params):
        super().set_params(params)
        for callback in self.callbacks:
            callback.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        for callback in self.callbacks:
            callback.set_model(model)

    def on_train_begin(self, logs=None):
        model = self.model
        self.called[:] = self.callbacks
        call = current_fit_call(model)
        check_others(call.callbacks, self)
        training_state.build(model, call)
        self._folder = SaveFolder(self.directory)
        if self.overwrite:
            self._folder.clear()
        self._settings = settings_of(model, call, self.callbacks)
        self._data = DataPosition(call)
        self._epochs = call.arguments["epochs"]
        self._first_epoch = call.arguments["initial_epoch"]
        self._begin = self._data.state()
        self._epoch_state = self._random_after_skip = self._metrics = None
        self._position = Position(epoch=self._first_epoch)
        self._saved_steps, self._saved_time = 0, time.monotonic()
        self._pending = self._find_save()
        warn_of_doubts(call, self._data, is_resumed=self._pending is not None)
        if self._pending is not None:
            self._load()
        if not self._position.is_finished:
            self._pass_on("on_train_begin", logs)
            self._signals = Signals(model)
        if self._pending is not None:
            give_states(self.callbacks, self._state["callbacks"])
        else:
            take_states(self.callbacks)  # raises now what it would raise at a save

    def on_epoch_begin(self, epoch, logs=None):
        is_known = False  # whether the callbacks have seen this epoch begin
        if self._pending is not None:
            is_known = self._position.is_within
            self._restore()
        else:
            self._position.begin_epoch(epoch)
            if self._is_due(at_end_of_epoch=True):
                self._write()
        if not is_known:
            self._pass_on("on_epoch_begin", epoch, logs)
            self._epoch_state = self._data.state()
        self._position.is_within = True

    def on_train_batch_begin(self, batch, logs=None):
        if self._random_after_skip is not None:
            training_state.set_random_state(self._random_after_skip)
            self._random_after_skip = None
        self._position.batch = batch
        if self._is_due():
            self._write()
        self._pass_on("on_train_batch_begin", batch, logs)

    def on_epoch_end(self, epoch, logs=None):
        if self._metrics is not None:
            self._complete(logs)
        self._position.end_epoch(self._model.steps_per_execution, self.params["steps"])
        self._pass_on("on_epoch_end", epoch, logs)

    def on_train_end(self, logs=None):
        if self._pending is not None:  # no epoch is left
            self._restore()
        else:
            self._position.begin_epoch(self._position.epoch + 1)
            self._position.is_stopped = bool(self.model.stop_training)
            # Before callbacks restore the best weights: from here more epochs go on.
            self._write()
        if self._position.is_finished:
            return
        self._pass_on("on_train_end", logs)
        self._position.is_finished = True
        self._write()
        self._signals.deliver()

    def on_test_begin(self, logs=None):
        self._pass_on("on_test_begin", logs)

    def on_test_end(self, logs=None):
        self._pass_on("on_test_end", logs)

    def on_test_batch_begin(self, batch, logs=None):
        self._pass_on("on_test_batch_begin", batch, logs)

    def _pass_on(self, hook: str, *arguments, **named) -> None:
        for callback in self.called:
            getattr(callback, hook)(*arguments, **named)

    def _pass_on_if_needed(self, hook: str, older: str) -> None:
        """Passes on what comes at the end of every batch, if anybody listens.

        For a callback that has these hooks, Keras waits for every step to end.
        """
        plain = keras.callbacks.Callback
        for callback in self.callbacks:
            for name in (hook, older):
                method = getattr(callback, name)
                if getattr(method, "__func__", method) is not getattr(plain, name):
                    setattr(self, hook, functools.partial(self._pass_on, hook))

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
        """Saves the training as it is, and delivers a signal that waits for that."""
        model, position = self.model, self._position
        variables = training_state.state_variables(model)
        header = {
            "settings": self._settings,
            "epochs": self._epochs,
            "position": dataclasses.asdict(position),
            "arrays": training_state.specs(variables),
        }
        state = {
            "begin": self._begin,
            "epoch": self._epoch_state,
            "now": self._data.state(),
            "history": training_state.history_state(model.history),
            "callbacks": take_states(self.callbacks),
        }
        values = training_state.values(variables)
        self._folder.write(header, pickle.dumps(state), values)
        self._saved_steps, self._saved_time = position.all_steps, time.monotonic()
        if self._signals.received is not None and not position.is_finished:
            print(
                f"\nThe training is saved in '{self.directory}', at {position}. Run "
                "the same program again to go on.",
                flush=True,
            )
            self._signals.deliver()

    def _find_save(self) -> Save | None:
        """Returns the save to go on with, after a look at the settings."""
        save = self._folder.read_latest()
        if save is None:
            return None
        there = save.header["epochs"]
        here = {"epochs": min(self._epochs, there), **self._settings}
        saved = {"epochs": there, **save.header["settings"]}
        check_same(saved, here, self.directory)
        position = Position(**save.header["position"])
        if not position.is_finished or position.is_stopped or self._epochs == there:
            return save
        if updating_optimizer(self.model).use_ema:
            raise ValueError(
                f"The training in '{self.directory}' has ended after {there} epochs, "
                "and its weights are averages now (`use_ema`): more epochs would not "
                f"go on where it was. Received: epochs={self._epochs}"
            )
        previous = self._folder.read_previous(save)
        if previous is None:
            raise ValueError(
                f"The training in '{self.directory}' has ended after {there} epochs, "
                "and the save before its end, with which more epochs would go on, is "
                f"not there. Received: epochs={self._epochs}"
            )
        return previous

    def _load(self) -> None:
        """Reads a save; `fit` will begin with its epoch."""
        header = self._pending.header
        self._state = pickle.loads(self._pending.state)
        self._position = Position(**header["position"])
        self._saved_steps = self._position.all_steps
        self._begin = self._state["begin"]
        is_over = self._position.is_finished or self._position.is_stopped
        self.model._initial_epoch = self._epochs if is_over else self._position.epoch
        self._assign_variables()
        if self._position.is_finished:
            print(
                f"The training has ended, at epoch {self._position.epoch}: nothing is "
                "left to do."
            )
        else:
            print(f"The training goes on at {self._position}.")

    def _restore(self) -> None:
        """Makes everything what it was, now that Keras has begun `fit`."""
        model, state, position = self.model, self._state, self._position
        model._initial_epoch = None
        goes_on = position.epoch < self._epochs and not position.is_stopped
        if goes_on:
            self._go_to(position)
        self._assign_variables()
        if goes_on and not position.is_within:
            model.reset_metrics()  # a save at the end of `fit` has those of validation
        training_state.set_history(model.history, state["history"])
        if position.is_within:
            # `fit` has no logs of its own if the epoch has no step left.
            self._metrics = training_state.metrics_result(model)
        model.stop_training = position.is_stopped
        self._pending = self._state = None

    def _go_to(self, position: Position) -> None:
        """Brings the data to where they were."""
        if self._data.is_replayed:
            self._data.set_state(self._begin)
            self._data.replay_epochs(position.epoch - self._first_epoch)
        now = self._state["now"]
        if position.is_within:
            self._epoch_state = self._state["epoch"]
            self._data.set_state(self._epoch_state)
            self._data.skip_steps(position.batch)
            self._random_after_skip = now["random"]
        else:
            self._data.set_state(now)

    def _assign_variables(self) -> None:
        variables = training_state.state_variables(self.model)
        training_state.assign(variables, self._pending.arrays())

    def _complete(self, logs: dict) -> None:
        """Adds the metrics of an epoch that was saved after its last step."""
        if not self._metrics.keys() & logs.keys():
            validation = dict(logs)
            logs.clear()
            logs.update({**self._metrics, **validation})
        self._metrics = None
