"""Phrases that compare update ratios with the healthy band."""

from collections.abc import Mapping

import numpy as np

from .summaries import listed

FAR = 10.0  # times the upper bound of the band: the first updates of Adam are large


def place_of(ratio: float, healthy: tuple[float, float]) -> str:
    """Describes where a ratio lies, relative to the healthy band."""
    low, high = healthy
    side = "below" if ratio < low else "above" if ratio > high else "in"
    return f"{side} the healthy band ({low:.0e} to {high:.0e})"


def layers_outside(
    layers: Mapping[str, float], median: float, healthy: tuple[float, float]
) -> str:
    """Names layers outside of the healthy band if the median is inside."""
    low, high = healthy
    names = [name for name, one in layers.items() if not low <= one <= high]
    if not names or not low <= median <= high:
        return ""
    verb = "is" if len(names) == 1 else "are"
    return f" Only the median is in the band: {listed(names)} {verb} outside."


def far_above(medians, steps, healthy: tuple[float, float]) -> str:
    """Describes the largest median of all records if it is far above the band."""
    medians = np.where(np.isfinite(medians), medians, -np.inf)
    record = int(medians.argmax())
    if medians[record] <= FAR * healthy[1]:
        return ""
    return (
        f" The largest median, {medians[record]:.1e} at step {steps[record]}, is far "
        f"above the healthy band, which ends at {healthy[1]:.0e}."
    )
