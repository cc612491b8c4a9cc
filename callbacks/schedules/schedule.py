"""The base class for all schedules."""

import numpy as np
from keras import ops

from zoo.utils.arguments import check_not_negative, check_positive, invalid_argument

from .keras_schedule import KerasSchedule


class Schedule:
    """Base class for learning-rate schedules, which are pure functions of time.

    A schedule returns the factor by which the optimizer's learning rate is multiplied.
    The caller chooses the unit of time: epochs or steps. A subclass implements
    `factor(time)`, which returns the factor after the warm-up. A subclass with
    arguments of its own also overrides `get_config()`. Nothing else is required for
    training, saving or plotting.

    The warm-up is linear: if it ends at time w, the factor at an earlier time t is
    t / w times the factor at w. The length of a schedule includes the warm-up:
    `Cosine(90, warmup=5)` ends at 90.

    Args:
        warmup: Number >= 0, the duration of the linear warm-up from 0. Defaults to
            `0.0`, which means no warm-up.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> class Root(Schedule):
    ...     def factor(self, time):
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
            return self.factor(time)
        # NOTE[DIFF]: The warm-up starts at 0. Goyal et al. 2017, section 2.2, start at
        # the learning rate for a small batch.
        rise = ops.minimum(time / self.warmup, 1.0)
        return rise * self.factor(ops.maximum(time, self.warmup))

    def factor(self, time):
        """Returns the factor at or after the end of the warm-up.

        Args:
            time: Float32 tensor of values >= `warmup`.
        """
        raise NotImplementedError(
            f"{type(self).__name__} must implement `factor(time)`."
        )

    def as_keras(self, learning_rate: float, steps_per_unit: int = 1):
        """Converts the schedule for use in an optimizer, without a callback.

        Args:
            learning_rate: Number > 0, the learning rate when the factor is 1.
            steps_per_unit: Integer >= 1, the number of optimizer steps per unit of
                time. For a schedule in epochs, pass the number of batches per epoch.
                Defaults to `1`.

        Returns:
            A `keras.optimizers.schedules.LearningRateSchedule`, which is saved with
            the optimizer.

        Raises:
            ValueError: If an argument is invalid.
        """
        return KerasSchedule(self, learning_rate, steps_per_unit)

    def plot(self, length: float, ax=None):
        """Plots the factor from time 0 to `length`.

        Args:
            length: Number > 0, the end of the plotted range.
            ax: Matplotlib axes to draw on. Defaults to `None`, which creates new axes.

        Returns:
            The Matplotlib figure.

        Raises:
            ValueError: If `length` is not a number > 0.
        """
        from matplotlib import pyplot as plt

        times = np.linspace(0, check_positive("length", length), 1001)
        if ax is None:
            _, ax = plt.subplots()
        ax.plot(times, ops.convert_to_numpy(self(times)), label=repr(self))
        ax.set(xlabel="time", ylabel="factor on the compiled learning rate")
        return ax.figure

    def get_config(self) -> dict:
        """Returns the arguments that recreate the schedule."""
        return {"warmup": self.warmup}

    @classmethod
    def from_config(cls, config: dict):
        """Creates a schedule from the result of `get_config()`."""
        return cls(**config)

    def __repr__(self) -> str:
        arguments = ", ".join(
            f"{key}={val!r}" for key, val in self.get_config().items()
        )
        return f"{type(self).__name__}({arguments})"


def check_length(length, warmup: float) -> float:
    """Returns `length` as a float.

    Raises an error if `length` is not a number > 0 or does not exceed `warmup`.
    """
    length = check_positive("length", length)
    if warmup >= length:
        raise invalid_argument(
            "warmup",
            f"a number below `length`, which is {length:g} (including the warm-up)",
            warmup,
        )
    return length
