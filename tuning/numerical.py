"""KerasTuner's numbers, which take every value of their range and no other."""

import functools
import math
from collections.abc import Sequence

from keras_tuner.engine import hyperparameters as kt

ROUNDING = 1e-8  # of the number of steps, which floating point makes 4.999...


class _Exact:
    """Values that lie on the steps of a range, both bounds included.

    KerasTuner counts steps by `//`, by which 0.5 is four steps of 0.1, so that a
    search never tries the maximum; and rounding can lead out of a range.
    """

    @property
    def values(self) -> Sequence:
        """All values, in order; ten examples if there is no step."""
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


class Float(_Exact, kt.Float):
    """A float from a range."""


class Int(_Exact, kt.Int):
    """An integer from a range."""

    @functools.cached_property
    def _on_steps(self) -> Sequence:
        if self.sampling == "linear":  # may be millions
            return range(self.min_value, self.max_value + 1, self.step)
        return [int(value) for value in super()._on_steps]


def exact(hp: kt.HyperParameter) -> kt.HyperParameter:
    """Returns a hyperparameter of KerasTuner's that has all of its values.

    Args:
        hp: Hyperparameter.

    Returns:
        A copy where `hp` is one of KerasTuner's numbers, else `hp` itself.
    """
    better = {kt.Float: Float, kt.Int: Int}.get(type(hp))
    return hp if better is None else better.from_config(hp.get_config())
