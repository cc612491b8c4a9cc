"""Numeric hyperparameters that can take all values in their ranges and no others."""

import functools
import math
from collections.abc import Sequence

from keras_tuner.engine import hyperparameters

ROUNDING = 1e-8  # tolerance for a number of steps such as 4.999...


class _Exact(hyperparameters.HyperParameter):
    """Base class for hyperparameters that take all values in a range and no others.

    If the last step reaches the end of the range, the end is included. KerasTuner
    counts linear steps with `//`. Because `0.5 // 0.1` is 4, KerasTuner never tries the
    maximum of a range from 0 to 0.5 in steps of 0.1. Rounding can also produce values
    outside the range.
    """

    @property
    def values(self) -> Sequence:
        """All values, in the order of their probabilities (see `to_probability`).

        Without a step, returns at most ten example values instead.
        """
        return super().values if self.step is None else self._on_steps

    def prob_to_value(self, prob: float):
        if self.step is None:
            value = super().prob_to_value(prob)
            return min(max(value, self.min_value), self.max_value)
        count = len(self.values)
        return self.values[min(int(prob / (1 / count)), count - 1)]

    def value_to_prob(self, value) -> float:
        if self.step is None:
            return super().value_to_prob(value)
        return (self.values.index(value) + 0.5) / len(self.values)

    @functools.cached_property
    def _on_steps(self) -> Sequence:
        low, high, step = self.min_value, self.max_value, self.step
        if self.sampling == "linear":
            count = int((high - low) / step + ROUNDING) + 1
            return [self._snapped(low + index * step) for index in range(count)]
        count = int(math.log(high / low, step) + ROUNDING) + 1
        values = [low * math.pow(step, index) for index in range(count)]
        if self.sampling == "reverse_log":
            values = [high + low - value for value in values]
        return [self._snapped(value) for value in values]

    def _snapped(self, value):
        if math.isclose(value, self.max_value, rel_tol=1e-12):
            return self.max_value
        return min(max(value, self.min_value), self.max_value)


class Float(_Exact, hyperparameters.Float):
    """Float hyperparameter that can take all values in its range and no others."""


class Int(_Exact, hyperparameters.Int):
    """Integer hyperparameter that can take all values in its range and no others."""

    @functools.cached_property
    def _on_steps(self) -> Sequence:
        if self.sampling == "linear":  # a `range`, as there may be millions
            return range(self.min_value, self.max_value + 1, self.step)
        return [int(value) for value in super()._on_steps]


def exact(hp: hyperparameters.HyperParameter) -> hyperparameters.HyperParameter:
    """Converts KerasTuner's own `Float` and `Int` to the exact classes of this module.

    Args:
        hp: Hyperparameter.

    Returns:
        An exact copy of `hp` if it is KerasTuner's own `Float` or `Int`, otherwise `hp`
        itself.
    """
    better = {hyperparameters.Float: Float, hyperparameters.Int: Int}.get(type(hp))
    return hp if better is None else better.from_config(hp.get_config())
