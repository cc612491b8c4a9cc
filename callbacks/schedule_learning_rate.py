"""A schedule of the learning rate, exact at every step."""

import keras

from zoo.utils.arguments import check_integer, invalid_argument

from .rate_readers import hide_rates, show_rates
from .scheduled_value import ScheduledValue
from .schedules.schedule import Schedule


class ScheduleLearningRate(ScheduledValue):
    """Multiplies the compiled learning rate by a schedule, at every step.

    The factor is computed inside the compiled step: it is exact under XLA and with
    `steps_per_execution`, and costs no synchronisation. The optimizer keeps the
    float that it was compiled with, during training, after it and in saved files;
    `ReduceLROnPlateau` and whoever else sets `optimizer.learning_rate` changes that
    float, and by it the whole schedule. `TensorBoard` and the callbacks of W&B read
    the rate that was used; any other callback that reads `optimizer.learning_rate`
    reads the float. A `fit` with this callback compiles a step of its own, which is
    used again while model, optimizer and schedule stay the same.

    In a `MultiOptimizer` every optimizer has its rate multiplied. Optimizers that a
    `train_step` uses besides the compiled one are not scheduled. Steps that are made
    from outside, such as `train_on_batch` inside a callback, use the compiled rate
    and take no time.

    Time is that of `fit`. In epochs it is epoch + batch / steps, so that a `fit` with
    `initial_epoch=5` goes on at 5, and a second `fit` from epoch 0 begins again. In
    steps it is the number of batches, an epoch that `fit` leaves out being counted
    in full. A batch counts whether or not the weights change with it: with gradient
    accumulation, and where `LossScaleOptimizer` skips a step.

    The logs and History have the rate of an epoch's last step as "learning_rate", or,
    with several optimizers, as "learning_rate_" and the name of each; NaN if there is
    no trainable weight.
    Keras' `ReduceLROnPlateau` and `LearningRateScheduler` log the optimizer's float
    under that name: History is put right, what lies between them in the list of
    callbacks sees the float.

    Args:
        schedule: Schedule, from `callbacks.schedules`.
        unit: "epoch" or "step", the unit of the schedule's time. Defaults to
            `"epoch"`.
        warmup_steps: Integer >= 0, the schedule's warm-up, given in steps whatever
            the unit is. Defaults to `0`, which leaves the warm-up to the schedule.
            (`InverseSquareRoot` then needs a `timescale`.)
        steps_per_epoch: Integer >= 1, needed where the length of the dataset is
            unknown; where `fit` knows it, that counts. Defaults to `None`.

    Raises:
        ValueError: If an argument is invalid; in `fit`, if the optimizer holds a
            schedule of its own, the length of an epoch is needed and unknown, or the
            first step does not ask the compiled optimizer for its rate.

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
        self._logged = {}
        super().on_train_begin(logs)
        self._schedule = self._warmed_up(self._steps_per_unit)
        show_rates(self, self._rates_to_read)

    def begin_step(self, optimizer: keras.optimizers.Optimizer) -> None:
        factor = self._next_factor(self._schedule)
        for one in self._scheduled:
            one.tensor = one.optimizer._learning_rate * factor
            one.used.assign(one.tensor)

    def attributes_of(self, optimizer: keras.optimizers.Optimizer) -> dict:
        (one,) = (one for one in self._scheduled if one.optimizer is optimizer)

        def learning_rate():
            one.was_read = True
            return one.tensor

        return {"_get_current_learning_rate": learning_rate}

    def optimizer_attributes(self) -> dict:
        return {"_get_current_learning_rate": None}

    def on_epoch_begin(self, epoch, logs=None):
        self._correct_history()
        super().on_epoch_begin(epoch, logs)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self._logged = self._used_values()

    def on_train_end(self, logs=None):
        self._correct_history()
        hide_rates(self)
        for one in self._scheduled:
            one.tensor = None
        super().on_train_end(logs)

    def _compiled_values(self, optimizers: list) -> list[tuple]:
        for optimizer in optimizers:
            learning_rate = getattr(optimizer, "_learning_rate", None)
            if not isinstance(learning_rate, keras.Variable):
                raise invalid_argument(
                    "learning_rate",
                    "a float in the optimizer that the model is compiled with",
                    learning_rate,
                    "The optimizer can hold a schedule, or the callback can: give it "
                    "to one of them.",
                )
        return [(optimizer, None) for optimizer in optimizers]

    def _rates_to_read(self) -> list[tuple]:
        """What loggers read: the rates that were used last."""
        return [(one.optimizer, one.used) for one in self._scheduled or ()]

    def _used_schedule(self) -> Schedule:
        return self._schedule

    def _correct_history(self):
        # A History of the user's may stand before this callback, and lack the rate.
        history = getattr(getattr(self.model, "history", None), "history", {})
        for name, value in self._logged.items():
            if history.get(name):
                history[name][-1] = value

    def _warmed_up(self, steps_per_unit: int) -> Schedule:
        """The schedule with the warm-up that is given in steps."""
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
                f"It makes: {error}",
            ) from None
