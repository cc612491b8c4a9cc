"""What all schedules have in common."""

import keras
import numpy as np
from keras import ops

from zoo.utils.arguments import check_not_negative, check_positive, invalid_argument


class Schedule:
    """A shape of the learning rate: a pure function of time.

    Its value is the factor on the compiled rate, so that 1 is that rate. The unit of
    time is the caller's: epochs or steps. A subclass gives `shape(time)`, the factors
    after the warm-up, and `get_config()`; both are enough to train with it, to save
    it and to draw it.

    The warm-up is linear: at a time t below its end w, the factor is t / w times the
    one at w. It is a part of the length of a schedule: `Cosine(90, warmup=5)` ends at
    90.

    Args:
        warmup: Number >= 0: how long the factor rises from 0. Defaults to `0.0`,
            which means no warm-up.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> class Root(Schedule):
    ...     def shape(self, time):
    ...         return 1 / ops.sqrt(time)
    >>> root = Root(warmup=4)
    >>> [float(root(time)) for time in (0, 2, 4, 16)]
    [0.0, 0.25, 0.5, 0.25]
    >>> root
    Root(warmup=4.0)
    """

    def __init__(self, warmup: float = 0.0):
        self.warmup = check_not_negative("warmup", warmup)

    def __call__(self, time):
        """Returns the factor at `time`.

        Args:
            time: Number, array or tensor of numbers >= 0.

        Returns:
            A float32 tensor of the same shape.
        """
        time = ops.convert_to_tensor(time, "float32")
        if not self.warmup:
            return self.shape(time)
        # NOTE[DIFF]: from 0; Goyal et al. 2017, section 2.2, begin at the rate that
        # is good for a small batch.
        rise = ops.minimum(time / self.warmup, 1.0)
        return rise * self.shape(ops.maximum(time, self.warmup))

    def shape(self, time):
        """Returns the factor at `time`, a float32 tensor that is >= `warmup`."""
        raise NotImplementedError

    def as_keras(self, learning_rate: float, steps_per_unit: int = 1):
        """Returns the schedule for use in an optimizer, instead of a callback.

        Args:
            learning_rate: Number > 0, the rate where the factor is 1.
            steps_per_unit: Integer >= 1: steps of the optimizer in a unit of time;
                for a schedule in epochs, the batches of an epoch. Defaults to `1`.

        Returns:
            A `keras.optimizers.schedules.LearningRateSchedule`. It is saved with the
            optimizer.

        Raises:
            ValueError: If an argument is invalid.
        """
        from .keras_schedule import KerasSchedule

        return KerasSchedule(self, learning_rate, steps_per_unit)

    def plot(self, length: float, ax=None):
        """Draws the factor from time 0 to `length`.

        Args:
            length: Number > 0.
            ax: Matplotlib axes to draw into. Defaults to `None`: those of a new
                figure.

        Returns:
            The Matplotlib axes.

        Raises:
            ValueError: If `length` is not a number > 0.
        """
        from matplotlib import pyplot as plt

        times = np.linspace(0, check_positive("length", length), 1001)
        if ax is None:
            _, ax = plt.subplots()
        ax.plot(times, ops.convert_to_numpy(self(times)), label=repr(self))
        ax.set(xlabel="time", ylabel="factor on the compiled learning rate")
        return ax

    def get_config(self) -> dict:
        """Returns the arguments that make the same schedule again."""
        return {"warmup": self.warmup}

    @classmethod
    def from_config(cls, config: dict):
        """Returns the schedule that `config` of `get_config()` describes."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(
            f"{key}={val!r}" for key, val in self.get_config().items()
        )
        return f"{type(self).__name__}({arguments})"


def registered(cls: type) -> type:
    """Makes a class known to Keras' saving, as one of this project."""
    return keras.saving.register_keras_serializable(package="kerascope")(cls)


def check_length(length, warmup: float) -> float:
    """Returns `length` as a float, or raises if it is not > 0 and > `warmup`."""
    length = check_positive("length", length)
    if warmup >= length:
        raise invalid_argument(
            "warmup",
            f"a number below `length`, which is {length:g} with the warm-up in it",
            warmup,
        )
    return length


def time_of_step(step, steps_per_unit: int):
    """Returns the time of a step, in units: epoch + batch / steps.

    The beginning of a unit comes out as a whole number, also where a compiler turns
    a division into a product with the rounded inverse.

    Args:
        step: Integer tensor or variable, counted from 0.
        steps_per_unit: Integer >= 1.

    Returns:
        A float32 tensor.
    """
    step = ops.convert_to_tensor(step)
    units = step // steps_per_unit
    rest = ops.cast(step - units * steps_per_unit, "float32")
    return ops.cast(units, "float32") + rest / steps_per_unit
