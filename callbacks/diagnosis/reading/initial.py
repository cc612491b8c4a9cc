"""Recognizes weights that are still as their initializers drew them."""

import math
from dataclasses import dataclass

import keras
import numpy as np

MIN_ENTRIES = 200  # of a kernel, to recognize its distribution
MAX_COLUMNS = 64  # of an orthogonal kernel that are compared with each other
# Standard deviation of a standard normal distribution truncated at 2 deviations, and
# the kurtosis of the three distributions that initializers draw from.
TRUNCATED = 0.87962566
UNIFORM_KURTOSIS, TRUNCATED_KURTOSIS, NORMAL_KURTOSIS = 1.8, 2.366, 3.0


@dataclass(frozen=True)
class Distribution:
    """A symmetric distribution around zero.

    Attributes:
        rms: Root mean square.
        kurtosis: Fourth moment divided by the squared second moment.
        largest: Upper bound of the magnitudes, `inf` for none.
    """

    rms: float
    kurtosis: float
    largest: float = math.inf

    def fits(self, values: np.ndarray) -> bool:
        """Returns whether numbers may be drawn from the distribution.

        The mean of the squares and the kurtosis must be within 4 standard errors. For n
        normal numbers, the standard error of the kurtosis is sqrt(24 / n); for bounded
        distributions it is below half of that.
        """
        squares = values**2
        mean, largest = squares.mean(), np.abs(values).max()
        if largest > self.largest * (1 + 1e-5):
            return False
        # The largest of n uniform numbers is within 10 / n of the bound with
        # probability 1 - exp(-10).
        is_uniform = self.kurtosis == UNIFORM_KURTOSIS
        if is_uniform and largest < self.largest * (1 - 10 / values.size):
            return False
        errors = 4 / math.sqrt(values.size)
        spread = errors * math.sqrt(self.kurtosis - 1)
        bend = errors * math.sqrt(24 if math.isinf(self.largest) else 6)
        kurtosis = (squares**2).mean() / mean**2
        return bool(
            abs(mean / self.rms**2 - 1) < spread
            and abs(kurtosis - self.kurtosis) < bend
        )


def looks_initial(
    values: np.ndarray, initializer, fan_in: int, fan_out: int
) -> bool | None:
    """Returns whether a kernel is distributed as its initializer draws it.

    Training widens the distribution, and moves single weights beyond its bounds.

    Args:
        values: Entries of the kernel as a matrix, of shape `(inputs, units)`. The last
            units may be missing.
        initializer: Initializer of the kernel.
        fan_in: Number of inputs of each unit.
        fan_out: Number of outputs that each input takes part in.

    Returns:
        `None` if the initializer is unknown, or the kernel is too small to tell.
    """
    if values.size < MIN_ENTRIES:
        return None
    if not values.any():
        return False
    if isinstance(initializer, keras.initializers.Orthogonal):
        return _is_orthogonal(values, float(initializer.gain))
    drawn = _distribution(initializer, fan_in, fan_out)
    return None if drawn is None else drawn.fits(values)


def initial_rms(initializer, fan_in: int, fan_out: int) -> float | None:
    """Returns the root mean square of a new kernel, or `None` if it is unknown.

    Args:
        initializer: Initializer of the kernel.
        fan_in: Number of inputs of each unit.
        fan_out: Number of outputs that each input takes part in.
    """
    drawn = _distribution(initializer, fan_in, fan_out)
    return None if drawn is None else drawn.rms


def is_constant(values: np.ndarray, initializer) -> bool | None:
    """Returns whether a variable still has the constant that its initializer gave it.

    The result is `None` if the initializer does not give a constant.
    """
    if isinstance(initializer, keras.initializers.Zeros):
        return not values.any()
    if isinstance(initializer, keras.initializers.Ones):
        return bool((values == 1).all())
    if isinstance(initializer, keras.initializers.Constant):
        constant = np.asarray(initializer.value, dtype=values.dtype)
        return bool((values == constant).all())
    return None


def _distribution(initializer, fan_in: int, fan_out: int) -> Distribution | None:
    """Returns the distribution of an initializer, `None` if it is unknown."""
    if isinstance(initializer, keras.initializers.VarianceScaling):
        fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
        rms = math.sqrt(initializer.scale / fans[initializer.mode])
        return _named(initializer.distribution, rms)
    if isinstance(initializer, keras.initializers.RandomUniform):
        low, high = initializer.minval, initializer.maxval
        is_symmetric = low == -high
        return _named("uniform", high / math.sqrt(3)) if is_symmetric else None
    kinds = {
        keras.initializers.TruncatedNormal: ("truncated_normal", TRUNCATED),
        keras.initializers.RandomNormal: ("untruncated_normal", 1.0),
    }
    name, factor = kinds.get(type(initializer), ("", 0.0))
    if not name or initializer.mean:
        return None
    return _named(name, factor * initializer.stddev)


def _named(name: str, rms: float) -> Distribution:
    if name == "uniform":
        return Distribution(rms, UNIFORM_KURTOSIS, rms * math.sqrt(3))
    if name == "truncated_normal":
        return Distribution(rms, TRUNCATED_KURTOSIS, 2 * rms / TRUNCATED)
    return Distribution(rms, NORMAL_KURTOSIS)


def _is_orthogonal(values: np.ndarray, gain: float) -> bool | None:
    """Returns whether the shorter sides of a matrix are orthogonal to each other."""
    rows, columns = values.shape
    some = values[:, :MAX_COLUMNS] if columns <= rows else values[:MAX_COLUMNS].T
    products = some.T @ some
    error = np.abs(products - gain**2 * np.eye(len(products))).max()
    return bool(error < 1e-3 * gain**2)
