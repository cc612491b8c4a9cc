"""What one look into a step saw."""

from dataclasses import dataclass

import numpy as np

LOWEST, HIGHEST = -64, 32  # log2 of the magnitudes that have a bin of their own

# The exponent of a float32 has 8 bits, of which 0 stands for zero and numbers below
# 2**-126, and 255 for infinity and NaN; the others are log2 of the magnitude + 127.
NUM_EXPONENTS, BIAS = 256, 127
NUM_BINS = 2 * NUM_EXPONENTS  # positive numbers first

# What a row has first, and what it then has for every variable; the last only where
# magnitudes are counted.
LEADING = 2  # learning rate, whether the step was skipped
FIGURES = ("gradient_norm", "weight_norm", "update_norm", "largest_gradient")


@dataclass(frozen=True, eq=False)
class Sample:
    """One step that was looked into; arrays have an entry for every variable.

    Attributes:
        step: Number of the step in its `fit`, from 0.
        number: The same, counting only the steps that update the weights.
        epoch: Epoch of the step.
        learning_rate: Rate that the step used.
        skipped: Whether a `LossScaleOptimizer` skipped it.
        gradient_norm: Norms of the gradients; NaN for a variable that has none.
        weight_norm: Norms of the weights before the step.
        update_norm: Norms of what the step added to the weights.
        largest_gradient: Largest magnitudes of the gradients. `None`, as what follows,
            where nobody asked for counts.
        counts: Entries of the gradients by sign and log2 of the magnitude, int32 of
            shape `(variables, 2, 96)`, the positive ones first: bin `i` counts
            magnitudes in [2**(i - 64), 2**(i - 63)), the first and the last one also
            those beyond.
        zeros: Numbers of entries that are 0, or below 2**-126 and computed with as 0.
        non_finite: Numbers of entries that are infinite or NaN.
    """

    step: int
    number: int
    epoch: int
    learning_rate: float
    skipped: bool
    gradient_norm: np.ndarray
    weight_norm: np.ndarray
    update_norm: np.ndarray
    largest_gradient: np.ndarray | None = None
    counts: np.ndarray | None = None
    zeros: np.ndarray | None = None
    non_finite: np.ndarray | None = None


def sample_of(epoch: int, marks, numbers, counts=None) -> Sample:
    """Returns the sample that one row holds.

    Args:
        epoch: Epoch of the step.
        marks: Numbers of the step, and of the update.
        numbers: Float array: what leads, then every figure of all variables.
        counts: Array `(variables, NUM_BINS)` by sign and exponent. Defaults to
            `None`.
    """
    names = FIGURES[:-1] if counts is None else FIGURES
    columns = numbers[LEADING:].reshape(len(names), -1)
    figures = dict(zip(names, columns, strict=True))
    histogram = {} if counts is None else _fold(counts)
    return Sample(
        step=int(marks[0]),
        number=int(marks[1]),
        epoch=epoch,
        learning_rate=float(numbers[0]),
        skipped=bool(numbers[1]),
        **figures,
        **histogram,
    )


def _fold(counts) -> dict:
    """Counts by sign and exponent, with one bin for all that is beyond the range."""
    signed = counts.reshape(-1, 2, NUM_EXPONENTS)
    finite = signed[:, :, 1:-1]
    first, last = LOWEST + BIAS - 1, HIGHEST + BIAS - 1
    bins = finite[:, :, first:last].copy()
    bins[:, :, 0] += finite[:, :, :first].sum(axis=-1)
    bins[:, :, -1] += finite[:, :, last:].sum(axis=-1)
    return {
        "counts": bins,
        "zeros": signed[:, :, 0].sum(axis=-1),
        "non_finite": signed[:, :, -1].sum(axis=-1),
    }
