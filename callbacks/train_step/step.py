"""Compiles training steps that include callbacks."""

import contextlib
import functools

import keras

from zoo.backend import train_step
from zoo.backend.keras_internals import patched

from .optimizers import updating_optimizer, updating_optimizers
from .update_recorder import UpdateRecorder

KEPT = 4  # maximum number of steps cached with a train function


class Step:
    """Runs training steps of a model that include callbacks.

    A single function runs all steps in two cases: if evaluating a condition inside the
    compiled step costs nothing, or if only the compiled step can determine whether it
    updates the weights. Otherwise, there are two functions: one records updates, and
    the other does not. If no callback takes part in the step, the model's own train
    function takes the place of the latter. A step counter outside the compiled
    functions determines which function runs next.

    Args:
        model: Compiled model.
        own: The model's own train function.
        callbacks: List of the callbacks that take part in the step.
        requests: Requested records (see `UpdateRecorder`).
    """

    def __init__(self, model, own, callbacks: list, requests: dict):
        self.model = model
        self.own = own
        self.callbacks = callbacks
        self.optimizer = model.optimizer
        self.recorder = UpdateRecorder(model, requests) if requests else None
        self.has_run = False
        self.is_free = False  # whether another `fit` can reuse this step
        self._functions: dict = {}
        self._attributes = _attributes(callbacks, self.optimizer)
        self.restart()

    def restart(self) -> None:
        """Resets the step counter to 0."""
        self.is_free = False
        self._steps = 0
        self._is_behind = False  # whether the recorder's counters miss earlier steps
        if self.recorder is not None:
            self.recorder.restart()

    def continue_from(self, other: "Step") -> None:
        """Continues from the step number that another `Step` has reached."""
        self._steps, self._is_behind = other._steps, other._is_behind
        if self.recorder is None or other.recorder is None:
            return
        if self.recorder.follow(other.recorder):
            self._functions = {}

    @property
    def num_calls(self) -> int:
        """Number of completed calls to the train function."""
        return self._steps

    def count_steps(self) -> int | None:
        """Returns the number of steps that have run, or `None` if it is unknown."""
        if self._steps == 0 or self.model.steps_per_execution == 1:
            return self._steps
        if self.recorder is None:
            return None
        return train_step.read_counters(self.recorder.counters).step + 1

    def get_state(self) -> dict:
        """Returns the number of steps so far, and the counters of the recorder."""
        counters = None
        if self.recorder is not None:
            counters = train_step.read_counters(self.recorder.counters)
        return {
            "steps": self._steps,
            "is_behind": self._is_behind,
            "counters": counters,
        }

    def set_state(self, state: dict) -> None:
        """Restores a result of `get_state()`, with no rows recorded."""
        self._steps, self._is_behind = state["steps"], state["is_behind"]
        if self.recorder is not None:
            self.recorder.restart(state["counters"])

    def begin_step(self) -> None:
        """Runs the callbacks inside the step."""
        for callback in self.callbacks:
            callback.begin_step(updating_optimizer(self.model))

    def callback_variables(self) -> list[keras.Variable]:
        """Returns the variables that the callbacks read and assign inside the step."""
        return [
            variable
            for callback in self.callbacks
            for variable in callback.step_variables()
        ]

    def rebuild(self) -> None:
        """Makes the next call recompile the functions with new buffers."""
        self._functions = {}
        if self.recorder is not None:
            self.recorder.rebuild()

    def __call__(self, *args):
        """Calls the train function once."""
        with contextlib.ExitStack() as stack:
            for optimizer, attributes in self._attributes:
                stack.enter_context(patched(optimizer, **attributes))
            observe = self._observes_next()
            if observe and self._is_behind:
                self.recorder.set_step(self._steps)
                self._is_behind = False
            result = self._function(observe, args)(*args)
        # Counted after the call, which raises an error if the data is exhausted.
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
        # Evaluated only once, because counting the parameters takes time.
        return train_step.has_free_condition(self.model)

    def _knows_which_update(self) -> bool:
        """Returns whether updates can be detected only inside the compiled step.

        This is the case if one call runs several steps or if gradients are accumulated.
        """
        recorder = self.recorder
        accumulates = recorder is not None and recorder.accumulates()
        return self.model.steps_per_execution > 1 or accumulates

    def _function(self, observe: bool, args: tuple):
        if not observe and not self.callbacks:
            return self.own
        if observe not in self._functions:
            recorder = self.recorder if observe else None
            in_place = self.model.train_function
            try:
                self._functions[observe] = train_step.make_function(
                    self, recorder, args
                )
            finally:  # `make_train_function` sets the attribute of the model
                self.model.train_function = in_place
        return self._functions[observe]


def get_step(model, own, callbacks: list, requests: dict) -> Step:
    """Returns a `Step`, reusing one from an earlier call to `fit` if possible.

    Reusing compiled functions saves time and memory. Each `Step` is stored as an
    attribute of the model's own train function. When `compile` or `make_train_function`
    discards this function, the `Step` is discarded as well.
    """
    callbacks = [one for one in callbacks if one.step_key() != ()]
    keys = [one.step_key() for one in callbacks]
    frozen = {every: frozenset(has) for every, has in requests.items()}
    # A Python function can have attributes, unlike a function implemented in C.
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
    participants = [one.participant() for one in callbacks]
    step = Step(model, own, participants, requests)
    kept.append((step, keys))
    del kept[:-KEPT]
    return step


def _attributes(callbacks, optimizer) -> list[tuple]:
    """Returns `(optimizer, attributes)` pairs for all optimizers that update weights.

    The attributes replace the optimizer's own attributes while the step runs.
    """
    return [
        (one, {k: v for c in callbacks for k, v in c.attributes_of(one).items()})
        for one in updating_optimizers(optimizer)
    ]
