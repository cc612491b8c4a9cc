"""Schedules the learning rate at every step."""

import logging

import keras
import numpy as np

from zoo.backend.keras_internals import (
    compiled_learning_rate,
    learning_rate_attributes,
)
from zoo.utils.arguments import check_integer, invalid_argument

from .rate_readers import hide_rates, show_rates
from .scheduled_value import ScheduledValue
from .schedules.schedule import Schedule

logger = logging.getLogger(__name__)

ENOUGH = 0.5  # of a schedule: less is a mistake, such as steps in place of epochs


class ScheduleLearningRate(ScheduledValue):
    """Multiplies the optimizer's learning rate by a schedule at every step.

    The factor is computed inside the compiled step. It is therefore exact under XLA and
    with `steps_per_execution`, and requires no synchronization. The optimizer's own
    learning rate remains an unscheduled float during training, after training and in
    saved files. A callback that sets `optimizer.learning_rate`, such as
    `ReduceLROnPlateau`, changes this float, which scales the whole schedule.
    `TensorBoard` and the W&B callbacks read the scheduled learning rate. All other
    callbacks that read `optimizer.learning_rate` get the float. The first call to `fit`
    with this callback compiles a separate training step. Later calls to `fit` reuse
    this step if the model, the optimizer and the schedule are unchanged.

    In a `MultiOptimizer`, the learning rate of every optimizer is scheduled. Additional
    optimizers in a custom `train_step` are not scheduled. Steps outside the training
    loop of `fit`, such as those made by `train_on_batch` in a callback, use the
    unscheduled learning rate and do not advance the schedule.

    The time of the schedule measures the progress of `fit`. With `unit="epoch"`, the
    time is epoch + batch / steps per epoch. With `initial_epoch=5`, the time therefore
    starts at 5. In a second call to `fit` without `initial_epoch`, the time starts at 0
    again. With `unit="step"`, the time is the number of batches, including all batches
    of the epochs that `initial_epoch` skips. Every batch counts, even if it does not
    change the weights, for example because gradients are accumulated or
    `LossScaleOptimizer` skips the step.

    In the logs and in the `History`, "learning_rate" is the learning rate in the last
    step of each epoch. With several optimizers, the keys are "learning_rate_" followed
    by the name of the optimizer. The value is NaN if the model has no trainable
    weights. Keras' `ReduceLROnPlateau` and `LearningRateScheduler` log the optimizer's
    float as "learning_rate". This callback corrects the `History`, but other callbacks
    may see the float, depending on their order in the list.

    If the warm-up does not end within `fit`, or the learning rate is 0 for one or more
    whole epochs at the end, a warning is logged when training begins. So it is if `fit`
    begins with epoch 0 and ends before half of the `length` of a schedule without
    cycles.

    Args:
        schedule: Schedule from `callbacks.schedules`.
        unit: "epoch" or "step", the unit of the schedule's time. Defaults to `"epoch"`.
        warmup_steps: Integer >= 0, the duration of the warm-up in steps, regardless of
            `unit`. With `warmup_steps`, `InverseSquareRoot` requires a `timescale`.
            Defaults to `0`, which keeps the schedule's own warm-up.
        steps_per_epoch: Integer >= 1, the number of batches per epoch. If `fit` does
            not know the length of the dataset, this argument is required for
            `unit="epoch"` and for an `initial_epoch` > 0. Otherwise, it is ignored.
            Defaults to `None`.

    Raises:
        ValueError: If an argument is invalid. Also raised by `fit` if the optimizer
            already has a schedule, if the length of an epoch is required but unknown,
            or if the first step does not read the learning rate of the optimizer that
            the model is compiled with.

    Example:

    >>> import numpy as np
    >>> from callbacks.schedules import Cosine
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.5), "mse")
    >>> schedule = ScheduleLearningRate(Cosine(4, warmup=1))
    >>> x, y = np.ones((8, 1)), np.zeros((8, 1))
    >>> history = model.fit(
    ...     x, y, batch_size=1, epochs=5, verbose=0, callbacks=[schedule]
    ... )
    >>> [round(rate, 4) for rate in history.history["learning_rate"]]
    [0.4375, 0.4022, 0.1543, 0.0021, 0.0]
    >>> float(model.optimizer.learning_rate)
    0.5
    """

    log_name = "learning_rate"
    call = "ScheduleLearningRate({})"
    optimizer_call = "keras.optimizers.Adam({})"

    def __init__(
        self,
        schedule: Schedule,
        unit: str = "epoch",
        *,
        warmup_steps: int = 0,
        steps_per_epoch: int | None = None,
    ):
        super().__init__(schedule, unit, steps_per_epoch)
        self.warmup_steps = check_integer("warmup_steps", warmup_steps, minimum=0)
        if self.warmup_steps and schedule.warmup:
            raise invalid_argument(
                "warmup_steps",
                f"0 for a schedule with a warm-up of its own, {schedule!r}",
                warmup_steps,
            )
        if self.unit == "step":
            self._warmed_up(steps_per_unit=1)

    def on_train_begin(self, logs=None):
        self._schedule = None
        super().on_train_begin(logs)
        self._schedule = self._warmed_up(self._steps_per_unit)
        self._say_misfit()
        show_rates(self, self._rates_to_read)

    def begin_step(self, optimizer: keras.optimizers.Optimizer) -> None:
        factor = self._next_factor(self._schedule)
        for one in self._scheduled:
            one.tensor = compiled_learning_rate(one.optimizer) * factor
            one.used.assign(one.tensor)

    def attributes_of(self, optimizer: keras.optimizers.Optimizer) -> dict:
        (one,) = (one for one in self._scheduled if one.optimizer is optimizer)

        def learning_rate():
            one.was_read = True
            return one.tensor

        return learning_rate_attributes(learning_rate)

    def optimizer_attributes(self) -> dict:
        return learning_rate_attributes(None)

    def on_epoch_begin(self, epoch, logs=None):
        self._correct_history()
        if not self._begun and not epoch:  # else `fit` continues earlier training
            self._say_early_end()
        super().on_epoch_begin(epoch, logs)

    def on_train_end(self, logs=None):
        self._correct_history()
        hide_rates(self)
        for one in self._scheduled:
            one.tensor = None
        super().on_train_end(logs)

    def _compiled_values(self, optimizers: list) -> list[tuple]:
        for optimizer in optimizers:
            learning_rate = compiled_learning_rate(optimizer)
            if not isinstance(learning_rate, keras.Variable):
                raise invalid_argument(
                    "learning_rate",
                    "a float in the optimizer that the model is compiled with",
                    learning_rate,
                    "Pass a schedule to the optimizer or to this callback, but only "
                    "to one of them.",
                )
        return [(optimizer, None) for optimizer in optimizers]

    def _rates_to_read(self) -> list[tuple]:
        """Returns `(optimizer, last_learning_rate)` pairs for logging callbacks."""
        return [(one.optimizer, one.used) for one in self._scheduled or ()]

    def _used_schedule(self) -> Schedule:
        return self._schedule

    def _say_misfit(self) -> None:
        """Logs a warning if a part of the schedule makes no sense for this `fit`."""
        self._say_long_warmup("the learning rate never reaches its full value")
        length_of_fit = self._length_of_fit()
        if length_of_fit is None:
            return
        epochs, length = length_of_fit
        ends = np.linspace(0, length, epochs + 1)
        is_zero = keras.ops.convert_to_numpy(self._schedule(ends)) == 0
        idle = int(np.argmin(is_zero[::-1])) - 1 if not is_zero.all() else epochs
        if idle > 0:
            logger.warning(
                "The learning rate of %r is 0 in the last %d of %d epochs, which "
                "change nothing. Choose the length of `fit` for the schedule.",
                self._schedule,
                idle,
                epochs,
            )

    def _say_early_end(self) -> None:
        """Logs a warning if `fit` ends before half of the schedule."""
        length = getattr(self._schedule, "length", None)
        length_of_fit = self._length_of_fit()
        if length is None or length_of_fit is None:
            return
        has_cycles = getattr(self._schedule, "cycles", 1) > 1
        end = length_of_fit[1]
        if has_cycles or end >= ENOUGH * length or end <= self._schedule.warmup:
            return
        logger.warning(
            "`fit` ends at %s %g, at %.2g %% of the length of %r. Choose the length of "
            "the schedule for `fit`. For a length in steps, pass `unit='step'`.",
            self.unit,
            end,
            100 * end / length,
            self._schedule,
        )

    def _correct_history(self):
        # If the user lists a History before this callback, the key can be missing.
        history = getattr(getattr(self.model, "history", None), "history", {})
        for name, value in self._logged.items():
            if history.get(name):
                history[name][-1] = value

    def _warmed_up(self, steps_per_unit: int) -> Schedule:
        """Returns the schedule, with a warm-up added if `warmup_steps` is nonzero."""
        if not self.warmup_steps:
            return self.schedule
        warmup = self.warmup_steps / steps_per_unit
        config = {**self.schedule.get_config(), "warmup": warmup}
        try:
            return type(self.schedule).from_config(config)
        except ValueError as error:
            raise invalid_argument(
                "warmup_steps",
                f"a warm-up that is a part of {self.schedule!r}",
                self.warmup_steps,
                f"The resulting schedule is invalid: {error}",
            ) from None
