"""The compiled functions of a training step in which callbacks take part."""

import contextlib
import functools
import importlib

import keras

from .common import patched, updating_optimizers
from .recorder import Recorder

backend = importlib.import_module(f".{keras.backend.backend()}", package=__package__)

KEPT = 4  # steps that are kept with a train function


class Step:
    """Makes steps of a model, with what callbacks add to them.

    Where the compiled functions allow it, there is one function for all steps. If a
    condition inside it would not be free, there are two, and a count of the steps
    outside says which one is next: one that observes, and one that does not, which
    is the model's own if no callback takes part in it.

    Args:
        model: Compiled model.
        own: The model's own train function.
        callbacks: List of the callbacks that take part.
        requests: What is to be recorded, see `Recorder`.
    """

    def __init__(self, model, own, callbacks: list, requests: dict):
        self.callbacks = callbacks
        self.optimizer = model.optimizer
        self.recorder = Recorder(model, backend, requests) if requests else None
        self.has_run = False
        self.is_free = False  # whether another `fit` can take it
        self._model = model
        self._own = own
        self._functions: dict = {}
        self._attributes = _attributes(callbacks, self.optimizer)
        self.restart()

    def restart(self) -> None:
        """Begins again at step 0."""
        self.is_free = False
        self._steps = 0
        self._is_behind = False  # whether the clock of the step has not seen all steps
        if self.recorder is not None:
            self.recorder.restart()

    def go_on_from(self, other: "Step") -> None:
        """Begins where another step has ended."""
        self._steps, self._is_behind = other._steps, other._is_behind
        if self.recorder is None or other.recorder is None:
            return
        if self.recorder.follow(other.recorder):
            self._functions = {}

    def rebuild(self) -> None:
        """Makes the functions again at the next call, with records of another size."""
        self._functions = {}
        if self.recorder is not None:
            self.recorder.rebuild()

    def __call__(self, *args):
        """Makes one call of the train function."""
        with contextlib.ExitStack() as stack:
            for optimizer, attributes in self._attributes:
                stack.enter_context(patched(optimizer, **attributes))
            observe = self._observes_next()
            if observe and self._is_behind:
                self.recorder.set_step(self._steps)
                self._is_behind = False
            result = self._function(observe, args)(*args)
        # After the call, which ends without a step where the data has run out.
        self._steps += 1
        self._is_behind |= not observe
        self.has_run = True
        return result

    def _observes_next(self) -> bool:
        if self.recorder is None:
            return False
        if self._has_free_condition or self._knows_which_update():
            return True
        return self.recorder.is_due(self._steps)

    @functools.cached_property
    def _has_free_condition(self) -> bool:
        # Asked once, at the first call: to count parameters at every step costs time.
        return backend.has_free_condition(self._model)

    def _knows_which_update(self) -> bool:
        """Whether only the step itself knows which steps update the weights."""
        recorder = self.recorder
        accumulates = recorder is not None and recorder.accumulates()
        return self._model.steps_per_execution > 1 or accumulates

    def _function(self, observe: bool, args: tuple):
        if not observe and not self.callbacks:
            return self._own
        if observe not in self._functions:
            recorder = self.recorder if observe else None
            in_place = self._model.train_function
            try:
                self._functions[observe] = backend.make_function(
                    self._model, self._own, self.callbacks, recorder, args
                )
            finally:  # Keras makes a function by putting it into the model
                self._model.train_function = in_place
        return self._functions[observe]


def take_step(model, own, callbacks: list, requests: dict) -> Step:
    """Returns a step as described by `Step`, from an earlier `fit` if there is one.

    Functions that are compiled once cost neither time nor memory again. They are kept
    with the model's own train function, and dropped with it by `compile` and
    `make_train_function`.
    """
    callbacks = [one for one in callbacks if one.step_key() != ()]
    keys = [one.step_key() for one in callbacks]
    frozen = {every: frozenset(has) for every, has in requests.items()}
    # A function can have attributes, as long as it is none of C.
    kept = (
        vars(own).setdefault("_kerascope_steps", []) if hasattr(own, "__dict__") else []
    )
    for step, known in kept:
        same = step.is_free and step.optimizer is model.optimizer and None not in keys
        recorded = step.recorder.requests if step.recorder else {}
        if same and known == keys and recorded == frozen:
            for callback, other in zip(callbacks, step.callbacks, strict=True):
                callback.take_over(other)
            step.restart()
            return step
    parts = [one.step_part() for one in callbacks]
    step = Step(model, own, parts, requests)
    kept.append((step, keys))
    del kept[:-KEPT]
    return step


def _attributes(callbacks, optimizer) -> list[tuple]:
    """The attributes that the optimizers have during the step."""
    return [
        (one, {k: v for c in callbacks for k, v in c.attributes_of(one).items()})
        for one in updating_optimizers(optimizer)
    ]
