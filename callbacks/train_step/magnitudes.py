"""Histograms of the magnitudes of tensor entries."""

from dataclasses import dataclass, replace

import numpy as np

from zoo.backend.tensor_statistics import BIAS, NUM_EXPONENTS

LOWEST, HIGHEST = -64, 32  # range of the histograms, in log2 of the magnitude


@dataclass(frozen=True, eq=False)
class Magnitudes:
    """Magnitudes of the entries of one quantity, such as the gradient.

    Attributes:
        largest: Largest magnitude of each variable; NaN for a variable without a
            gradient.
        bins: Flat indices of the nonzero counts. Zero counts are not stored, because
            most counts are zero.
        numbers: Nonzero counts, in the order of `bins`.
        zeros: Number of entries in each variable that are 0 or have a magnitude below
            2**-126, which is treated as 0.
        non_finite: Number of entries in each variable that are infinite or NaN.
    """

    largest: np.ndarray
    bins: np.ndarray
    numbers: np.ndarray
    zeros: np.ndarray
    non_finite: np.ndarray

    @classmethod
    def from_exponents(cls, largest, counts) -> "Magnitudes":
        """Creates an instance from the number of entries for each sign and exponent.

        The first and last bins include the counts of all exponents outside the range.

        Args:
            largest: Largest magnitude of each variable.
            counts: Result of `zoo.backend.tensor_statistics.count_exponents`, as a
                NumPy array.
        """
        signed = counts.reshape(-1, 2, NUM_EXPONENTS)
        finite = signed[:, :, 1:-1]
        first, last = LOWEST + BIAS - 1, HIGHEST + BIAS - 1
        histograms = finite[:, :, first:last].copy()
        histograms[:, :, 0] += finite[:, :, :first].sum(axis=-1)
        histograms[:, :, -1] += finite[:, :, last:].sum(axis=-1)
        bins = np.flatnonzero(histograms).astype("uint32")
        return cls(
            largest=largest,
            bins=bins,
            numbers=histograms.flat[bins],
            zeros=signed[:, :, 0].sum(axis=-1),
            non_finite=signed[:, :, -1].sum(axis=-1),
        )

    @property
    def counts(self) -> np.ndarray:
        """Entry counts by sign (positive first) and by log2 of the magnitude.

        Int32 array of shape `(variables, 2, 96)`. Bin `i` counts magnitudes in
        [2**(i - 64), 2**(i - 63)). The first and last bins include all magnitudes
        outside the range.
        """
        counts = np.zeros((len(self.largest), 2, HIGHEST - LOWEST), "int32")
        counts.flat[self.bins] = self.numbers
        return counts

    def padded(self, missing: int) -> "Magnitudes":
        """Adds `missing` variables, with NaN for magnitudes and 0 for counts."""

        def longer(array, value=0):
            return np.append(array, np.full(missing, value, array.dtype))

        # The flat indices of the counts stay valid, because new variables come last.
        return replace(
            self,
            largest=longer(self.largest, np.nan),
            zeros=longer(self.zeros),
            non_finite=longer(self.non_finite),
        )
