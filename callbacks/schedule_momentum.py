"""Schedules the momentum at every step."""

import keras

from zoo.utils.arguments import check_fraction, invalid_argument

from .scheduled_value import ScheduledValue
from .schedules.schedule import Schedule
from .train_step import StepHyperparameter


class ScheduleMomentum(ScheduledValue):
    """Changes the momentum at every step, in the direction opposite to a schedule.

    The momentum is m - (m - minimum) * factor, where m is the momentum that the
    optimizer was created with. It equals `minimum` when the factor of the schedule is
    1, and m when the factor is 0. For example, `Linear(5)` raises the momentum from
    `minimum` to m over the first 5 epochs (Sutskever et al. 2013, section 3, use an
    initial momentum of 0.5). `OneCycle(90)` cycles the momentum in the direction
    opposite to the learning rate (Smith & Topin 2019; PyTorch cycles between 0.95 and
    0.85).

    The momentum is computed inside the compiled step, and time is measured as in
    `ScheduleLearningRate`. The `momentum` attribute of the optimizer remains m during
    training, after training and in saved files. In the logs and in the `History`,
    "momentum" is the momentum in the last step of each epoch. In a `MultiOptimizer`,
    the momentum of every optimizer that uses momentum is scheduled. If the warm-up does
    not end within `fit`, a warning is logged when training begins.

    Args:
        schedule: Schedule from `callbacks.schedules`.
        minimum: Float in [0, 1), not greater than the momentum of the optimizer.
        unit: "epoch" or "step", the unit of the schedule's time. Defaults to `"epoch"`.
        steps_per_epoch: Integer >= 1, the number of batches per epoch. If `fit` does
            not know the length of the dataset, this argument is required for
            `unit="epoch"` and for an `initial_epoch` > 0. Otherwise, it is ignored.
            Defaults to `None`.

    Raises:
        ValueError: If an argument is invalid. Also raised by `fit` if the optimizer has
            no momentum, if its momentum is 0 or less than `minimum`, if the length of
            an epoch is required but unknown, or if the first step does not read the
            momentum of the optimizer that the model is compiled with.

    Example:

    >>> import numpy as np
    >>> from callbacks.schedules import Linear
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(0.01, momentum=0.9), "mse")
    >>> rise = ScheduleMomentum(Linear(2), minimum=0.5)
    >>> x, y = np.ones((4, 1)), np.zeros((4, 1))
    >>> history = model.fit(x, y, batch_size=1, epochs=3, verbose=0, callbacks=[rise])
    >>> [round(momentum, 4) for momentum in history.history["momentum"]]
    [0.65, 0.85, 0.9]
    >>> model.optimizer.momentum
    0.9
    """

    log_name = "momentum"
    call = "ScheduleMomentum({}, minimum=0.5)"
    optimizer_call = "keras.optimizers.SGD(0.1, momentum={})"

    def __init__(
        self,
        schedule: Schedule,
        minimum: float,
        unit: str = "epoch",
        *,
        steps_per_epoch: int | None = None,
    ):
        super().__init__(schedule, unit, steps_per_epoch)
        self.minimum = check_fraction("minimum", minimum)

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self._say_long_warmup("the momentum never reaches `minimum`")

    def begin_step(self, optimizer: keras.optimizers.Optimizer) -> None:
        factor = self._next_factor(self.schedule)
        for one in self._scheduled:
            value = one.compiled - (one.compiled - self.minimum) * factor
            one.tensor.tensor = value
            one.used.assign(value)

    def attributes_of(self, optimizer: keras.optimizers.Optimizer) -> dict:
        for one in self._scheduled:
            if one.optimizer is optimizer:
                return {"momentum": one.tensor}
        return {}

    def optimizer_attributes(self) -> dict:
        return {"momentum": None}

    def prepare_step(self) -> None:
        super().prepare_step()
        for one in self._scheduled:
            one.tensor = one.tensor or StepHyperparameter()

    def step_key(self) -> tuple:
        return (*super().step_key(), self.minimum)

    def on_train_end(self, logs=None):
        for one in self._scheduled:
            one.tensor.tensor = None
        super().on_train_end(logs)

    def _compiled_values(self, optimizers: list) -> list[tuple]:
        if len(optimizers) > 1:  # some of them may have no momentum
            with_momentum = [o for o in optimizers if getattr(o, "momentum", None)]
            optimizers = with_momentum or optimizers
        return [(one, self._compiled_momentum(one)) for one in optimizers]

    def _was_read(self, one) -> bool:
        return one.tensor.was_read

    def _set_was_read(self, one, value: bool) -> None:
        one.tensor.was_read = value

    def _compiled_momentum(self, optimizer) -> float:
        momentum = getattr(optimizer, "momentum", None)
        if not momentum:
            what = "none" if momentum is None else "0"
            raise invalid_argument(
                "optimizer",
                "one that is compiled with a momentum > 0, such as "
                "`SGD(learning_rate, momentum=0.9)`",
                type(optimizer).__name__,
                f"Its momentum is {what}, so there is nothing to schedule.",
            )
        if momentum < self.minimum:
            raise invalid_argument(
                "minimum", f"at most the compiled momentum, {momentum}", self.minimum
            )
        return momentum
