"""The base class for callbacks that schedule an optimizer hyperparameter."""

import logging
from dataclasses import dataclass
from typing import Any

import keras

from zoo.utils.arguments import check_choice, check_integer, invalid_argument
from zoo.utils.printable import Printable

from .schedule_argument import check_schedule
from .schedules.schedule import Schedule
from .schedules.step_time import time_of_step
from .train_step import StepCallback, updating_optimizers

logger = logging.getLogger(__name__)


@dataclass(eq=False)
class ScheduledOptimizer:
    """An optimizer with a scheduled hyperparameter.

    Attributes:
        optimizer: Keras optimizer.
        compiled: Value that the optimizer was created with, or `None` if this value is
            read from the optimizer in the step.
        used: Variable that contains the value used in the last step.
        tensor: Tensor from which the optimizer reads the scheduled value in the step,
            or the `StepHyperparameter` that contains this tensor.
        was_read: Whether the optimizer has read the scheduled value.
    """

    optimizer: keras.optimizers.Optimizer
    compiled: float | None
    used: keras.Variable
    tensor: object = None
    was_read: bool = False


class ScheduledValue(Printable, StepCallback):
    """Base class that tracks the time of a schedule and logs the scheduled values.

    A subclass defines `log_name`, `_compiled_values()` and `begin_step()`. The
    `begin_step()` method gets the factor from `_next_factor()` and sets the value for
    each optimizer in `_scheduled`.

    Attributes:
        log_name: Name of the value in the logs.
        call: Call of the callback as code, with `{}` in place of the schedule.
        optimizer_call: Call of an optimizer as code, with `{}` in place of the value
            that is scheduled.
    """

    log_name: str
    call: str
    optimizer_call: str

    def __init__(self, schedule, unit: str, steps_per_epoch: int | None):
        super().__init__()
        self.schedule = check_schedule(schedule, self.call, self.optimizer_call)
        self.unit = check_choice("unit", unit, ("epoch", "step"))
        if steps_per_epoch is not None:
            steps_per_epoch = check_integer("steps_per_epoch", steps_per_epoch, 1)
        self.steps_per_epoch = steps_per_epoch
        self._step: Any = None  # keras.Variable during `fit`
        self._logged: dict[str, float] = {}

    def on_train_begin(self, logs=None):
        # A `CallbackList` created by the user may have no params.
        self._steps = (self.params or {}).get("steps") or self.steps_per_epoch
        if self._steps is None and self.unit == "epoch":
            raise self._unknown_length("with unit='epoch'")
        self._steps_per_unit = self._steps if self.unit == "epoch" else 1
        self._begun = False
        self._scheduled = []
        self._logged = {}
        self.prepare_step()
        self._step = self.make_step_variable(0, "int")
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        # With unit="step", the step counter is the time. It is not reset in later
        # epochs, because an epoch may have more steps than expected.
        if not self._begun or self.unit == "epoch":
            if epoch and self._steps is None:
                raise self._unknown_length(f"at epoch {epoch}, where `fit` starts")
            self._step.assign(epoch * self._steps if epoch else 0)
        self._begun = True

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self._logged = self._used_values()
        if logs is not None:  # a custom training loop may pass no logs
            logs.update(self._logged)

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        self._scheduled = self._step = None  # release the tensors of the step

    def prepare_step(self) -> None:
        optimizers = updating_optimizers(self.model.optimizer)
        if not optimizers and self.model.optimizer is not None and self.model.built:
            # Building a `MultiOptimizer` that is defined by a function creates its
            # optimizers.
            self.model.optimizer.build(self.model.trainable_variables)
            optimizers = updating_optimizers(self.model.optimizer)
        if not optimizers:
            raise invalid_argument(
                "optimizer",
                f"a built model that is compiled with a Keras optimizer, whose "
                f"{self.log_name.replace('_', ' ')} can be scheduled",
                self.model.optimizer,
            )
        if optimizers != [one.optimizer for one in self._scheduled]:
            self._scheduled = [
                ScheduledOptimizer(
                    optimizer, value, self.make_step_variable(float("nan"), "float32")
                )
                for optimizer, value in self._compiled_values(optimizers)
            ]

    def check_step(self) -> None:
        if not any(map(self._was_read, self._scheduled)) and self._trains():
            names = [type(one.optimizer).__name__ for one in self._scheduled]
            raise invalid_argument(
                "optimizer",
                f"a training step that asks the compiled optimizer for its "
                f"{self.log_name.replace('_', ' ')}",
                ", ".join(names),
                "No step has asked for it, so the schedule has no effect. This "
                "callback cannot schedule further optimizers that a `train_step` uses. "
                "Pass them `schedule.as_keras(...)` as the learning rate.",
            )

    def __getstate__(self):
        # After an interrupted `fit`, both attributes still refer to optimizers and
        # tensors.
        return super().__getstate__() | {"_scheduled": None, "_step": None}

    def get_state(self) -> dict:
        """Returns the time and the last values, for `ResumeTraining`."""
        if self._step is None:  # `fit` has ended
            return {"logged": self._logged}
        return {
            "logged": self._logged,
            "step": int(keras.ops.convert_to_numpy(self._step)),
            "begun": self._begun,
            "used": [
                float(keras.ops.convert_to_numpy(one.used)) for one in self._scheduled
            ],
            "was_read": [self._was_read(one) for one in self._scheduled],
        }

    def set_state(self, state: dict) -> None:
        """Restores a result of `get_state()` after `fit` has begun."""
        self._logged = state["logged"]
        if self._step is None:
            return
        self._step.assign(state["step"])
        self._begun = state["begun"]
        values = zip(self._scheduled, state["used"], state["was_read"], strict=True)
        for one, used, was_read in values:
            one.used.assign(used)
            self._set_was_read(one, was_read)

    def __str__(self) -> str:
        text = f"{type(self).__name__}: {self.schedule!r}, with time in {self.unit}s."
        values = " and ".join(f"{key} {one:.3g}" for key, one in self._logged.items())
        ended = f"The last epoch ended with {values}." if values else ""
        return f"{text} {ended or 'No epoch has ended yet.'}"

    def step_variables(self) -> list[keras.Variable]:
        return [self._step, *(one.used for one in self._scheduled)]

    def step_key(self) -> tuple:
        schedule = self._used_schedule()
        # The config of a user-defined schedule may be incomplete.
        package = Schedule.__module__.rpartition(".")[0]
        is_ours = type(schedule).__module__.startswith(package)
        return (
            type(self),
            type(schedule),
            repr(schedule.get_config()),
            None if is_ours else id(self.schedule),
            self._steps_per_unit,
            *(one.compiled for one in self._scheduled),
        )

    def participant(self) -> "ScheduledValue":
        copy = object.__new__(type(self))  # `copy.copy` would omit the variables
        copy.__dict__.update(vars(self), _train_function=None)
        return copy

    def take_over(self, other: "ScheduledValue") -> None:
        other._step.assign(self._step)
        for mine, one in zip(self._scheduled, other._scheduled, strict=True):
            one.used.assign(mine.used)
        self._step, self._scheduled = other._step, other._scheduled

    def _compiled_values(self, optimizers: list) -> list[tuple]:
        """Returns `(optimizer, original_value)` pairs for the scheduled optimizers."""
        raise NotImplementedError

    def _was_read(self, one: ScheduledOptimizer) -> bool:
        return one.was_read

    def _set_was_read(self, one: ScheduledOptimizer, value: bool) -> None:
        one.was_read = value

    def _used_schedule(self) -> Schedule:
        return self.schedule

    def _length_of_fit(self) -> tuple[int, int] | None:
        """Returns the end of `fit` in epochs and in the schedule's unit, or `None`."""
        epochs = (self.params or {}).get("epochs")
        if not epochs or self._steps is None:
            return None
        return epochs, epochs * (1 if self.unit == "epoch" else self._steps)

    def _say_long_warmup(self, effect: str) -> None:
        """Logs a warning if the warm-up does not end within `fit`."""
        schedule, length = self._used_schedule(), self._length_of_fit()
        if length is not None and schedule.warmup >= length[1]:
            logger.warning(
                "The warm-up of %r ends at %s %g, but `fit` ends at %g: %s. Shorten "
                "the warm-up.",
                schedule,
                self.unit,
                schedule.warmup,
                length[1],
                effect,
            )

    def _next_factor(self, schedule: Schedule):
        """Returns the factor for this step as a tensor, and advances the time."""
        factor = schedule(time_of_step(self._step, self._steps_per_unit))
        self._step.assign_add(1)
        return factor

    def _used_values(self) -> dict[str, float]:
        """Returns a dict from log names to the values used in the last step.

        With one optimizer, the value is NaN if the optimizer did not read the scheduled
        value. With several optimizers, values that were not read are omitted.
        """
        values = {}
        for one in self._scheduled:
            name, was_read = self.log_name, self._was_read(one)
            if len(self._scheduled) > 1:
                name = f"{name}_{one.optimizer.name}"
                if not was_read:
                    continue
            value = float(keras.ops.convert_to_numpy(one.used))
            values[name] = value if was_read else float("nan")
        return values

    def _trains(self) -> bool:
        return bool(self._train_function.model.trainable_variables)

    def _unknown_length(self, when: str) -> ValueError:
        return invalid_argument(
            "steps_per_epoch",
            f"an integer >= 1 {when}, because the length of the dataset is unknown",
            self.steps_per_epoch,
        )
