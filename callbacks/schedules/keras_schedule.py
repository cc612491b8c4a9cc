"""Adapts a schedule for use in Keras optimizers."""

from collections.abc import Callable

import keras

from zoo.utils.arguments import check_integer, check_positive, invalid_argument

from .step_time import time_of_step


@keras.saving.register_keras_serializable(package="kerascope")
class KerasSchedule(keras.optimizers.schedules.LearningRateSchedule):
    """Wraps a schedule for use in a Keras optimizer.

    Instances are created by `Schedule.as_keras`.

    Time is based on the optimizer's own count of calls to `apply`. As with all Keras
    schedules, a step that `LossScaleOptimizer` skips does not count.

    Args:
        schedule: Schedule from `callbacks.schedules`.
        learning_rate: Number > 0, the learning rate when the factor is 1.
        steps_per_unit: Integer >= 1, the number of optimizer steps per unit of schedule
            time. Defaults to `1`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> from callbacks.schedules import Cosine
    >>> rate = Cosine(90, warmup=5).as_keras(0.5, steps_per_unit=100)
    >>> [round(float(rate(step)), 4) for step in (0, 250, 500, 4750, 9000, 9999)]
    [0.0, 0.25, 0.5, 0.25, 0.0, 0.0]
    >>> optimizer = keras.optimizers.SGD(rate)
    """

    def __init__(
        self, schedule: Callable, learning_rate: float, steps_per_unit: int = 1
    ):
        if not callable(schedule):
            raise invalid_argument(
                "schedule", "a schedule of callbacks.schedules", schedule
            )
        self.schedule = schedule
        self.learning_rate = check_positive("learning_rate", learning_rate)
        self.steps_per_unit = check_integer("steps_per_unit", steps_per_unit, minimum=1)

    def __call__(self, step):
        time = time_of_step(step, self.steps_per_unit)
        return self.learning_rate * self.schedule(time)

    def get_config(self) -> dict:
        return {
            "schedule": keras.saving.serialize_keras_object(self.schedule),
            "learning_rate": self.learning_rate,
            "steps_per_unit": self.steps_per_unit,
        }

    @classmethod
    def from_config(cls, config: dict):
        schedule = keras.saving.deserialize_keras_object(config["schedule"])
        return cls(**{**config, "schedule": schedule})
