"""Records of single updates, and how they are read from rows."""

from dataclasses import dataclass, replace

import numpy as np

LOWEST, HIGHEST = -64, 32  # range of the histograms, in log2 of the magnitude

# The exponent of a float32 has 8 bits. The value 0 means zero or a magnitude below
# 2**-126, and 255 means infinity or NaN. All other values are floor(log2(magnitude))
# plus 127.
NUM_EXPONENTS, BIAS = 256, 127
NUM_BINS = 2 * NUM_EXPONENTS  # positive numbers first

# A row starts with `LEADING` numbers. Next come the norms of all variables for each
# kind, and then the largest magnitudes of all variables for each counted kind.
LEADING = 2  # learning rate, and whether the step was skipped
KINDS = ("gradient", "weight", "update")


@dataclass(frozen=True, eq=False)
class Magnitudes:
    """Magnitudes of the entries of one kind of tensor.

    Attributes:
        largest: Largest magnitude of each variable; NaN without a gradient.
        places: Flat indices of the nonzero counts, which are few.
        numbers: Values of the nonzero counts.
        zeros: Number of entries of each variable that are 0 or have a magnitude below
            2**-126, which is treated as 0.
        non_finite: Number of entries of each variable that are infinite or NaN.
    """

    largest: np.ndarray
    places: np.ndarray
    numbers: np.ndarray
    zeros: np.ndarray
    non_finite: np.ndarray

    @property
    def counts(self) -> np.ndarray:
        """Numbers of entries by sign, positive first, and log2 of the magnitude.

        Int32 array of shape `(variables, 2, 96)`. Bin `i` counts magnitudes in
        [2**(i - 64), 2**(i - 63)). The first and the last bin include all magnitudes
        beyond the range.
        """
        counts = np.zeros((len(self.largest), 2, HIGHEST - LOWEST), "int32")
        counts.flat[self.places] = self.numbers
        return counts


@dataclass(frozen=True, eq=False)
class Sample:
    """Record of one update. Arrays have one entry per variable.

    A step can make several updates, each with its own sample.

    Attributes:
        step: Step number in its `fit`, counted from 0.
        number: Number of earlier steps that updated the weights.
        epoch: Epoch of the step.
        learning_rate: Learning rate of the update; NaN if several optimizers with
            different learning rates took part.
        skipped: Whether a `LossScaleOptimizer` skipped the update.
        gradient_norm: Norms of the gradients; NaN for a variable that has no gradient
            or is not part of this update.
        weight_norm: Norms of the weights before the update.
        update_norm: Norms of the changes that the update made to the weights.
        magnitudes: Dict of `Magnitudes` by kind, for all requested kinds.
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
    """Converts one row to a sample.

    Args:
        epoch: Epoch of the step.
        counted: Kinds whose magnitudes are counted.
        marks: Step number, number of earlier steps that updated the weights, and row
            number.
        numbers: Float array: the `LEADING` numbers, then those of all variables.
        counts: Array of shape `(counted, variables, NUM_BINS)` with the counts by sign
            and exponent. Defaults to `None`.
    """
    # Copied, since a view would keep all rows in memory.
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
    """Pads a sample to `size` variables, with NaN or 0 for the added ones."""
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

    # The flat indices of the counts stay valid, since new variables come last.
    return replace(
        one,
        largest=longer(one.largest, np.nan),
        zeros=longer(one.zeros),
        non_finite=longer(one.non_finite),
    )


def _magnitudes(largest, counts) -> Magnitudes:
    """Converts counts by exponent to `Magnitudes`.

    The outer bins include the counts of all exponents beyond the range.
    """
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
