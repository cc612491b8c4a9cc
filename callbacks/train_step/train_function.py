"""What `fit` calls at every step, while callbacks take part in it."""

import importlib

import keras

from zoo.arguments import invalid_argument

from .clock import Clock
from .common import patched, updating_optimizer
from .observation import Observation

backend = importlib.import_module(f".{keras.backend.backend()}", package=__package__)


class TrainFunction:
    """Stands in for `model.train_function` during one `fit`.

    Keras calls no hook of a callback after an exception, so this object may outlive
    its `fit`. It therefore acts on announced calls alone, which the callbacks make in
    `on_train_batch_begin`; any other call comes from somewhere else, and puts the
    model's own function back. (One call is left announced if training stops between
    the two, as by an exception in another callback's `on_train_batch_begin`.)

    Args:
        model: Compiled model, whose `train_function` is made.
        fit: Object that only the callbacks of one call of `fit` share.
    """

    def __init__(self, model: keras.Model, fit: object):
        self._callbacks = []
        self._attributes = {}
        self._fit = fit
        self._model = model
        self._own = model.train_function
        self._announced = False
        self.observation = Observation(model, backend)
        self._clock = Clock(model, self.observation)
        # Traced at the first call, when the callbacks are complete.
        self._plain, self._observed = (
            backend.make_function(model, self._callbacks, observation)
            for observation in (None, self.observation)
        )
        model.train_function = self

    @classmethod
    def of(cls, model: keras.Model, fit: object) -> "TrainFunction":
        """Returns that of this `fit`, made if it is the first call."""
        function = model.train_function
        if isinstance(function, cls):
            if function._fit is fit:
                return function
            function.remove()
        return cls(model, fit)

    def add(self, callback):
        """Lets a callback take part; to be called before the first step."""
        attributes = callback.optimizer_attributes()
        if attributes.keys() & self._attributes.keys():
            name = type(callback).__name__
            raise invalid_argument(
                "callbacks", f"at most one {name}", [*self._callbacks, callback]
            )
        self._callbacks.append(callback)
        self._attributes |= attributes

    def announce(self):
        """Says that the next call is one of this `fit`."""
        self._announced = True

    def clock_state(self) -> tuple:
        """Returns what `set_clock_state` takes."""
        return self._clock.state(), self.observation.clock_state()

    def set_clock_state(self, state: tuple) -> None:
        """Makes the next step the one with this number, as when a `fit` is resumed."""
        clock, observation = state
        self._clock.set_state(clock)
        self.observation.set_clock_state(observation)

    def remove(self):
        """Puts the model's own function back, if that has not been done."""
        if self._model.train_function is self:
            self._model.train_function = self._own

    def __call__(self, *args):
        if not self._announced:
            self.remove()
            return self._own(*args)
        self._announced = False
        with patched(updating_optimizer(self._model), **self._attributes):
            observe = self._clock.next_may_be_due()
            result = (self._observed if observe else self._plain)(*args)
        self.observation.after_call()
        return result
