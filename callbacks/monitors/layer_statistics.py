"""Statistics of the outputs of one layer for a sample."""

from dataclasses import dataclass, replace

import numpy as np

from zoo.utils.initializers import activation_name

NUM_BINS = 50
RANGES = {
    "hard_sigmoid": (0.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "softsign": (-1.0, 1.0),
    "tanh": (-1.0, 1.0),
}
MARGIN = 0.025  # an output this close to a bound, relative to the range, is saturated
NARROWEST = 2.0**-15  # minimum histogram width, relative to the largest magnitude


@dataclass(frozen=True, eq=False)
class LayerStatistics:
    """Statistics of the outputs of one layer for the whole sample.

    A unit is one index along the channel axis, which is usually the last axis.
    """

    name: str
    is_activation: bool
    edges: np.ndarray  # bin edges
    counts: np.ndarray  # number of entries per bin
    mean: float
    deviation: float
    non_finite: int
    unit_zeros: np.ndarray  # fraction of zeros per unit
    unit_saturated: np.ndarray  # fraction near a bound per unit; NaN without bounds

    @property
    def zeros(self) -> float:
        """Fraction of entries that are zero."""
        return float(self.unit_zeros.mean())

    @property
    def dead(self) -> float:
        """Fraction of units that are zero for the whole sample."""
        return _fraction_at_least(1, self.unit_zeros)

    @property
    def saturated(self) -> float:
        """Fraction of units that are near a bound for at least half of the sample."""
        return _fraction_at_least(0.5, self.unit_saturated)

    def without_outputs(self) -> "LayerStatistics":
        """Returns statistics of this layer for a pass in which the layer did not run.

        The bin edges are kept. All counts, including `non_finite`, are 0. The other
        statistics are NaN.
        """
        return replace(
            self,
            counts=np.zeros_like(self.counts),
            mean=np.nan,
            deviation=np.nan,
            non_finite=0,
            unit_zeros=np.full_like(self.unit_zeros, np.nan),
            unit_saturated=np.full_like(self.unit_saturated, np.nan),
        )


@dataclass(frozen=True, eq=False)
class BatchStatistics:
    """Statistics of the outputs of one layer for a batch of the sample."""

    edges: np.ndarray
    counts: np.ndarray
    rows: int
    number: int  # number of finite entries
    mean: float
    deviation: float
    zeros: np.ndarray  # number of zeros per unit
    saturated: np.ndarray | None


def units_of(layer, output: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """Returns the unmasked entries as a matrix with one column per unit."""
    if getattr(layer, "data_format", None) == "channels_first" and output.ndim > 2:
        output = np.moveaxis(output, 1, -1)
    if mask is not None:
        output = output[np.broadcast_to(mask.astype(bool), output.shape[: mask.ndim])]
    return output.reshape(-1, output.shape[-1] if output.ndim > 1 else 1)


def range_of(units: np.ndarray) -> tuple[float, float]:
    """Returns the minimum and maximum of the finite entries.

    Returns (inf, -inf) if there are no finite entries.
    """
    finite = units[np.isfinite(units)]
    return float(finite.min(initial=np.inf)), float(finite.max(initial=-np.inf))


def measure(layer, units: np.ndarray, ranges: list | None = None) -> BatchStatistics:
    """Computes the statistics of the outputs of a layer for a batch of the sample.

    Args:
        layer: Layer that computed the outputs.
        units: Result of `units_of`.
        ranges: Results of `range_of` for all batches of the sample. Defaults to
            `None`, which means that the batch is the whole sample.
    """
    finite = units[np.isfinite(units)]
    bounds = RANGES.get(_activation_of(layer))
    saturated = None
    if bounds is not None:
        low, high = bounds
        margin = MARGIN * (high - low)
        near_bound = (units <= low + margin) | (units >= high - margin)
        saturated = near_bound.sum(axis=0)
    else:
        bounds = _joint_range([range_of(finite)] if ranges is None else ranges)
    counts, edges = _histogram(finite, bounds)
    with np.errstate(over="ignore"):  # float64 near its maximum can overflow
        mean = float(finite.mean(dtype="float64")) if finite.size else 0.0
        deviation = float(finite.std(dtype="float64")) if finite.size else 0.0
    return BatchStatistics(
        edges=edges,
        counts=counts,
        rows=len(units),
        number=finite.size,
        mean=mean,
        deviation=deviation,
        zeros=(units == 0).sum(axis=0),
        saturated=saturated,
    )


def combine(name: str, layer, batches: list[BatchStatistics]) -> LayerStatistics:
    """Combines the statistics of all batches of the sample.

    Args:
        name: Name of the output.
        layer: Layer that computed the outputs.
        batches: Results of `measure` for all batches of the sample.
    """
    rows = sum(batch.rows for batch in batches)
    number = np.array([batch.number for batch in batches])
    means = np.array([batch.mean for batch in batches])
    deviations = np.array([batch.deviation for batch in batches])
    count = number.sum()
    mean = (number * means).sum() / count if count else np.nan
    # For each batch, the sum of squared deviations from the joint mean is the sum of
    # squared deviations from the batch mean, plus `number` times the squared difference
    # between the two means.
    squares = number * (deviations**2 + (means - mean) ** 2)
    zeros = _sum([batch.zeros for batch in batches])
    saturated = np.full(len(zeros), np.nan)
    if rows and batches[0].saturated is not None:
        saturated = _sum([batch.saturated for batch in batches]) / rows
    return LayerStatistics(
        name=name,
        is_activation=_activation_of(layer) not in ("", "linear"),
        edges=batches[0].edges,
        counts=sum(batch.counts for batch in batches),
        mean=float(mean),
        deviation=float(np.sqrt(squares.sum() / count)) if count else np.nan,
        non_finite=int(rows * len(zeros) - count),
        unit_zeros=zeros / rows if rows else np.zeros(1),
        unit_saturated=saturated,
    )


def _fraction_at_least(threshold: float, fractions: np.ndarray) -> float:
    """Returns the fraction of values >= `threshold`; NaN if any value is NaN."""
    if np.isnan(fractions).any():
        return np.nan
    return float((fractions >= threshold).mean())


def _joint_range(ranges: list) -> tuple[float, float]:
    """Returns a range that covers all `ranges`.

    The range is wide enough for the bin edges to be distinct.
    """
    low, high = min(low for low, _ in ranges), max(high for _, high in ranges)
    if low > high:  # no finite values
        return 0.0, 1.0
    narrowest = NARROWEST * max(abs(low), abs(high))
    if low == high:
        half = max(0.5, narrowest)
        return low - half, high + half
    if high - low < narrowest:
        return low - narrowest, high + narrowest
    return low, high


def _histogram(finite: np.ndarray, bounds: tuple) -> tuple[np.ndarray, np.ndarray]:
    # The width of the range can exceed the maximum of the dtype.
    is_wide = bounds[1] - bounds[0] > np.finfo(finite.dtype).max / NUM_BINS
    scale = 2.0**-10 if is_wide else 1
    scaled = finite * finite.dtype.type(scale) if is_wide else finite
    counts, edges = np.histogram(scaled, NUM_BINS, [bound * scale for bound in bounds])
    return counts, edges / edges.dtype.type(scale) if is_wide else edges


def _sum(rows: list[np.ndarray]) -> np.ndarray:
    """Sums the vectors of all batches, after padding shorter vectors with zeros."""
    size = max(map(len, rows))
    return sum(np.pad(row, (0, size - len(row))) for row in rows)


def _activation_of(layer) -> str:
    """Returns the name of the layer's activation function, or "" if it has none."""
    function = getattr(layer, "activation", None)
    return getattr(function, "__name__", "") or activation_name(layer)
