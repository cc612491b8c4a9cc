"""What the callbacks with a schedule have in common."""

import keras

from zoo.arguments import check_choice, check_integer, invalid_argument

from .schedules.schedule import Schedule, time_of_step
from .train_step import StepCallback


class ScheduledValue(StepCallback):
    """Keeps the time of the schedule, and logs the value that was used.

    A subclass gives `log_name` and `begin_step()`, which takes the factor from
    `_next_factor()` and assigns what it makes of it to `_used`.
    """

    log_name: str

    def __init__(self, schedule, unit: str, steps_per_epoch: int | None):
        super().__init__()
        if not isinstance(schedule, Schedule):
            is_keras = isinstance(
                schedule, keras.optimizers.schedules.LearningRateSchedule
            )
            fix = "Keras' own schedules go into the optimizer." if is_keras else ""
            expected = "a schedule of callbacks.schedules"
            raise invalid_argument("schedule", expected, schedule, fix)
        self.schedule = schedule
        self.unit = check_choice("unit", unit, ("epoch", "step"))
        if steps_per_epoch is not None:
            steps_per_epoch = check_integer("steps_per_epoch", steps_per_epoch, 1)
        self.steps_per_epoch = steps_per_epoch
        self._step = self._used = None

    def on_train_begin(self, logs=None):
        self._steps = self.params["steps"] or self.steps_per_epoch
        if self._steps is None and self.unit == "epoch":
            raise self._unknown_length("with unit='epoch'")
        self._steps_per_unit = self._steps if self.unit == "epoch" else 1
        self._begun = False
        self._step = self.make_step_variable(0, "int")
        self._used = self.make_step_variable(float("nan"), "float32")
        super().on_train_begin(logs)

    def on_epoch_begin(self, epoch, logs=None):
        # In steps, time is what is counted; an epoch may have more than were known.
        if not self._begun or self.unit == "epoch":
            if epoch and self._steps is None:
                raise self._unknown_length(f"at epoch {epoch}, with which `fit` begins")
            self._step.assign(epoch * self._steps if epoch else 0)
        self._begun = True

    def on_epoch_end(self, epoch, logs=None):
        logs[self.log_name] = float(keras.ops.convert_to_numpy(self._used))

    def get_state(self) -> dict:
        """Returns the time and the last value, for `ResumeTraining`."""
        return {
            "step": int(keras.ops.convert_to_numpy(self._step)),
            "used": float(keras.ops.convert_to_numpy(self._used)),
            "begun": self._begun,
        }

    def set_state(self, state: dict) -> None:
        """Sets the time and the last value, once `fit` has begun."""
        if self._step is None:
            return
        self._step.assign(state["step"])
        self._used.assign(state["used"])
        self._begun = state["begun"]

    def step_variables(self) -> list[keras.Variable]:
        return [self._step, self._used]

    def _next_factor(self, schedule: Schedule):
        """The factor of this step, as a tensor; moves the time on."""
        factor = schedule(time_of_step(self._step, self._steps_per_unit))
        self._step.assign_add(1)
        return factor

    def _unknown_length(self, when: str) -> ValueError:
        return invalid_argument(
            "steps_per_epoch",
            f"an integer >= 1 {when}, as the dataset's length is unknown",
            self.steps_per_epoch,
        )
