"""What one look into a step saw."""

from dataclasses import dataclass, replace

import numpy as np

LOWEST, HIGHEST = -64, 32  # log2 of the magnitudes that have a bin of their own

# The exponent of a float32 has 8 bits, of which 0 stands for zero and numbers below
# 2**-126, and 255 for infinity and NaN; the others are log2 of the magnitude + 127.
NUM_EXPONENTS, BIAS = 256, 127
NUM_BINS = 2 * NUM_EXPONENTS  # positive numbers first

# What a row has first. Then it has for every variable the norm of each kind, and the
# largest magnitude of those kinds of which magnitudes are counted.
LEADING = 2  # learning rate, whether the step was skipped
KINDS = ("gradient", "weight", "update")


@dataclass(frozen=True, eq=False)
class Magnitudes:
    """How large the entries of one kind are; arrays have an entry for every variable.

    Attributes:
        largest: Largest magnitudes; NaN for a variable without a gradient.
        places: Flat indices of the counts that are not 0, which are few.
        numbers: Those counts.
        zeros: Numbers of entries that are 0, or below 2**-126 and computed with as 0.
        non_finite: Numbers of entries that are infinite or NaN.
    """

    largest: np.ndarray
    places: np.ndarray
    numbers: np.ndarray
    zeros: np.ndarray
    non_finite: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Entries by sign and log2 of the magnitude, the positive ones first.

        Int32 of shape `(variables, 2, 96)`: bin `i` counts magnitudes in
        [2**(i - 64), 2**(i - 63)), the first and the last one also those beyond.
        """
        counts = np.zeros((len(self.largest), 2, HIGHEST - LOWEST), "int32")
        counts.flat[self.places] = self.numbers
        return counts


@dataclass(frozen=True, eq=False)
class Sample:
    """One update that was looked into; arrays have an entry for every variable.

    A step can have several updates, each with a sample of its own.

    Attributes:
        step: Number of the step in its `fit`, from 0.
        number: How many steps before it updated weights.
        epoch: Epoch of the step.
        learning_rate: Rate of the update; NaN where several optimizers with
            different rates share it.
        skipped: Whether a `LossScaleOptimizer` skipped it.
        gradient_norm: Norms of the gradients; NaN for a variable that has none, or
            that this update leaves out.
        weight_norm: Norms of the weights before the update.
        update_norm: Norms of what the update added to the weights.
        magnitudes: The `Magnitudes` of those kinds that somebody asked for.
    """

    step: int
    number: int
    epoch: int
    learning_rate: float
    skipped: bool
    gradient_norm: np.ndarray
    weight_norm: np.ndarray
    update_norm: np.ndarray
    magnitudes: dict[str, Magnitudes]


def sample_of(epoch: int, counted: tuple, marks, numbers, counts=None) -> Sample:
    """Returns the sample that one row holds.

    Args:
        epoch: Epoch of the step.
        counted: Kinds of which magnitudes are counted.
        marks: Numbers of the step, of the steps that update, and of the row.
        numbers: Float array: what leads, then every figure of all variables.
        counts: Array `(counted, variables, NUM_BINS)` by sign and exponent. Defaults
            to `None`.
    """
    # A copy, since a view would keep all rows in memory.
    columns = numbers[LEADING:].reshape(len(KINDS) + len(counted), -1).copy()
    norms = {f"{kind}_norm": columns[i] for i, kind in enumerate(KINDS)}
    largest = columns[len(KINDS) :]
    return Sample(
        step=int(marks[0]),
        number=int(marks[1]),
        epoch=epoch,
        learning_rate=float(numbers[0]),
        skipped=bool(numbers[1]),
        **norms,
        magnitudes={
            kind: _magnitudes(largest[i], counts[i]) for i, kind in enumerate(counted)
        },
    )


def padded(sample: Sample, size: int) -> Sample:
    """Returns a sample with entries for more variables, which it does not know."""
    missing = size - len(sample.weight_norm)
    if not missing:
        return sample
    norms = {
        name: np.append(getattr(sample, name), np.full(missing, np.nan, "float32"))
        for name in (f"{kind}_norm" for kind in KINDS)
    }
    magnitudes = {
        kind: _padded(one, missing) for kind, one in sample.magnitudes.items()
    }
    return replace(sample, **norms, magnitudes=magnitudes)


def _padded(one: Magnitudes, missing: int) -> Magnitudes:
    def longer(array, value=0):
        return np.append(array, np.full(missing, value, array.dtype))

    # The places of the counts stay, since the new variables come last.
    return replace(
        one,
        largest=longer(one.largest, np.nan),
        zeros=longer(one.zeros),
        non_finite=longer(one.non_finite),
    )


def _magnitudes(largest, counts) -> Magnitudes:
    """Folds counts by sign and exponent: one bin for all that is beyond the range."""
    signed = counts.reshape(-1, 2, NUM_EXPONENTS)
    finite = signed[:, :, 1:-1]
    first, last = LOWEST + BIAS - 1, HIGHEST + BIAS - 1
    bins = finite[:, :, first:last].copy()
    bins[:, :, 0] += finite[:, :, :first].sum(axis=-1)
    bins[:, :, -1] += finite[:, :, last:].sum(axis=-1)
    places = np.flatnonzero(bins).astype("uint32")
    return Magnitudes(
        largest=largest,
        places=places,
        numbers=bins.flat[places],
        zeros=signed[:, :, 0].sum(axis=-1),
        non_finite=signed[:, :, -1].sum(axis=-1),
    )
