"""Replaces the train function of a model while callbacks take part in the step."""

import sys
import warnings

import keras

from zoo.backend import train_step
from zoo.backend.keras_internals import callback_list_of, is_inside_fit
from zoo.utils.arguments import invalid_argument

from .batch_sample import BatchSample
from .batch_sampler import BatchSampler
from .observation import Observation
from .step import get_step


class TrainFunction:
    """Replaces `model.train_function` during one call to `fit`.

    In `on_train_batch_begin`, callbacks announce that the next call comes from the
    current `fit`. All other calls, such as those made by `train_on_batch` or `fit` in a
    callback, are passed on to the model's own function. They do not advance schedules
    and are not recorded. If `compile`, `make_train_function` or an inner `fit` sets a
    different train function, this object adopts that function as the model's own at the
    next announcement, and replaces it again.

    Keras calls no hooks after an exception, so this object may remain in place after
    `fit` fails. In that case, it passes on all calls until the next call to `fit`
    replaces it.

    Args:
        model: Compiled model. Its train function is created if it does not exist.
        params: Parameters that all callbacks in one call to `fit` share. A
            `CallbackList` created by the user may have no parameters, or share them
            with other lists.
        begin: Logs passed to `on_train_begin`, or `None` if a callback was called
            without logs. Each call to `fit` passes a new object, which therefore
            identifies the call.

    Raises:
        RuntimeError: If callbacks cannot take part in the training step.
    """

    def __init__(self, model: keras.Model, params: dict | None, begin: dict | None):
        train_step.check_supported()
        self.observation = Observation()
        self._sampler = BatchSampler()
        self._callbacks: list[keras.callbacks.Callback] = []
        self._names: set[str] = set()
        self._params = params
        self._begin = begin
        self._model = model
        self._own = None
        self._step = None
        self._state: dict | None = None  # at which the first step resumes
        self._announced = False
        self._is_checked = False
        self._stand_in()

    @classmethod
    def of(cls, model, params: dict | None, begin: dict | None) -> "TrainFunction":
        """Returns the instance for the current call to `fit`.

        The first call to this method creates the instance.
        """
        function = model.train_function
        if isinstance(function, cls) and function._is_of(params, begin):
            return function
        return cls(model, params, begin)

    def add(self, callback):
        """Adds a callback. Must be called before the first step."""
        names = callback.optimizer_attributes().keys()
        if names & self._names:
            name = type(callback).__name__
            raise invalid_argument(
                "callbacks", f"at most one {name}", [*self._callbacks, callback]
            )
        self._callbacks.append(callback)
        self._names |= names
        if callback.sample_size:
            self._sampler.request(callback.sample_size, callback.sample_every)

    def batch_sample(self) -> BatchSample | None:
        """Returns the latest sample of a batch.

        The result is `None` before the first step, and if no callback requests samples.
        """
        return self._sampler.sample

    def stop_samples(self, callback):
        """Ends the regular samples that a callback has requested."""
        self._sampler.stop(callback.sample_every)

    def announce(self):
        """Marks the next call as a step of the `fit` to which this object belongs."""
        if self._model.train_function is not self:
            self._stand_in()
        if train_step.is_compiled(self._model):
            self.check()  # the first step has been traced completely
        self._announced = True

    def check(self):
        """Checks once, after the first step, that the callbacks took effect."""
        if self._step is not None and self._step.has_run and not self._is_checked:
            self._is_checked = True
            for callback in self._callbacks:
                callback.check_step()
            self._check_observation()

    def get_state(self) -> dict | None:
        """Returns the state of the steps, or `None` before the first step."""
        return self._state if self._step is None else self._step.get_state()

    def set_state(self, state: dict | None) -> None:
        """Makes the first step resume at a result of `get_state()`."""
        self._state = state

    def remove(self):
        """Restores the model's original function, and reads the remaining records."""
        if self._model.train_function is self:
            self._model.train_function = self._own
        self.observation.detach()
        if self._step is not None:
            self._step.is_free = True

    def __call__(self, *args):
        if not self._announced or _is_foreign(sys._getframe(1), self._params):
            return self._own(*args)
        self._announced = False
        if self._step is None:
            self._step = self._make_step(self._own)
            if self._state is not None:
                self._step.set_state(self._state)
                self._sampler.resume(self._step)
        result = self._step(*self._sampler.before_call(self._step, args))
        if self.observation.active:
            self._keep_up()
        return result

    @property
    def model(self) -> keras.Model:
        """The model.

        On JAX, reading this property does not synchronize the state of the model.
        """
        return self._model

    def _is_of(self, params, begin) -> bool:
        if begin is None or self._begin is None:
            return self._params is params
        return self._begin is begin

    def _check_observation(self):
        recorder = self._step.recorder
        if (
            recorder is None
            or recorder.is_called
            or not self._model.trainable_variables
        ):
            return
        name = type(self._model.optimizer).__name__
        warnings.warn(
            f"No updates are recorded: no training step has called `apply` "
            f"on the optimizer that the model is compiled with, {name}. Updates by "
            "other optimizers cannot be recorded.",
            stacklevel=2,
        )

    def _keep_up(self):
        """Reads rows before they are overwritten, and adds rows if necessary."""
        steps, recorder = self._model.steps_per_execution, self._step.recorder
        self.observation.after_call(steps)
        if recorder.unknown or recorder.rows_of(steps) > recorder.num_rows > 0:
            self.observation.read()
            self._step.rebuild()

    def _stand_in(self):
        """Replaces the model's own train function with this object."""
        own = self._model.train_function
        if isinstance(own, TrainFunction):  # left by an interrupted `fit`
            own = own._own
        if own is None:
            self._model.make_train_function()
            own = self._model.train_function
        if own is not self._own and self._step is not None:
            self._begin_step_again(own)
        self._own = own
        self._model.train_function = self

    def _begin_step_again(self, own):
        """Continues the current step count with the model's new train function."""
        for callback in self._callbacks:
            callback.prepare_step()
        before = self._step
        self.observation.detach()
        self._step = self._make_step(own, before)
        self._is_checked = False

    def _make_step(self, own, before=None):
        """Returns a `Step` for a train function of the model.

        Args:
            own: The model's own train function.
            before: Previous `Step`. The new `Step` continues its step count. Defaults
                to `None`, which starts at step 0.
        """
        requests = self.observation.requests
        step = get_step(self._model, own, self._callbacks, requests)
        if before is not None:
            step.continue_from(before)
        if step.recorder is not None:
            self.observation.attach(step.recorder)
        return step


def _is_foreign(frame, params) -> bool:
    """Returns whether a call is known to come from outside the current `fit`.

    Such a call can come from a later callback in the list, between the call to
    `announce` and the step itself.

    Args:
        frame: Frame of the caller.
        params: Parameters that all callbacks in this `fit` share, or `None` for a
            `CallbackList` that the user created without parameters.
    """
    if frame.f_code.co_name == "train_on_batch":
        return is_inside_fit(frame)  # rather than in a custom loop
    callbacks = callback_list_of(frame)
    is_list = isinstance(callbacks, keras.callbacks.CallbackList)
    return is_list and (callbacks.params or None) is not params
