"""Statistics of the outputs of one layer for a sample."""

from dataclasses import dataclass

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
MARGIN = 0.025  # a unit this close to a bound, relative to the range, is saturated
NARROWEST = 2.0**-15  # minimum histogram width, relative to the largest magnitude


@dataclass(frozen=True, eq=False)
class Answers:
    """Statistics of the outputs of one layer for the whole sample, in one pass.

    A unit is an index of the channel axis, which is usually the last one.
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


@dataclass(frozen=True, eq=False)
class Figures:
    """Statistics of the outputs of one layer for a part of the sample."""

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


def ends_of(units: np.ndarray) -> tuple[float, float]:
    """Returns the smallest and largest finite entry, or (inf, -inf) without any."""
    finite = units[np.isfinite(units)]
    return float(finite.min(initial=np.inf)), float(finite.max(initial=-np.inf))


def measure(layer, units: np.ndarray, ends: list | None = None) -> Figures:
    """Computes the statistics of the outputs of a layer for a part of the sample.

    Args:
        layer: Layer that computed the outputs.
        units: Result of `units_of`.
        ends: Results of `ends_of` for all parts of the sample. Defaults to `None`: the
            part is the whole sample.
    """
    finite = units[np.isfinite(units)]
    span = RANGES.get(_activation_of(layer))
    saturated = None
    if span is not None:
        low, high = span
        margin = MARGIN * (high - low)
        at_an_end = (units <= low + margin) | (units >= high - margin)
        saturated = at_an_end.sum(axis=0)
    else:
        span = _span_between([ends_of(finite)] if ends is None else ends)
    counts, edges = _histogram(finite, span)
    with np.errstate(over="ignore"):  # float64 near its maximum can overflow
        mean = float(finite.mean(dtype="float64")) if finite.size else 0.0
        deviation = float(finite.std(dtype="float64")) if finite.size else 0.0
    return Figures(
        edges=edges,
        counts=counts,
        rows=len(units),
        number=finite.size,
        mean=mean,
        deviation=deviation,
        zeros=(units == 0).sum(axis=0),
        saturated=saturated,
    )


def answers_of(name: str, layer, parts: list[Figures]) -> Answers:
    """Combines the statistics of all parts of the sample.

    Args:
        name: Name of the output.
        layer: Layer that computed the outputs.
        parts: Results of `measure` for all parts of the sample.
    """
    rows = sum(part.rows for part in parts)
    number = np.array([part.number for part in parts])
    means = np.array([part.mean for part in parts])
    deviations = np.array([part.deviation for part in parts])
    count = number.sum()
    mean = (number * means).sum() / count if count else np.nan
    # Sum of squares around the joint mean: the sum around the mean of each part, plus
    # the squared difference between the two means.
    squares = number * (deviations**2 + (means - mean) ** 2)
    zeros = _sum([part.zeros for part in parts])
    saturated = np.full(len(zeros), np.nan)
    if rows and parts[0].saturated is not None:
        saturated = _sum([part.saturated for part in parts]) / rows
    return Answers(
        name=name,
        is_activation=_activation_of(layer) not in ("", "linear"),
        edges=parts[0].edges,
        counts=sum(part.counts for part in parts),
        mean=float(mean),
        deviation=float(np.sqrt(squares.sum() / count)) if count else np.nan,
        non_finite=int(rows * len(zeros) - count),
        unit_zeros=zeros / rows if rows else np.zeros(1),
        unit_saturated=saturated,
    )


def _span_between(ends: list) -> tuple[float, float]:
    """Returns a range that covers all values, wide enough for distinct bin edges."""
    low, high = min(low for low, _ in ends), max(high for _, high in ends)
    if low > high:  # no finite values
        return 0.0, 1.0
    narrowest = NARROWEST * max(abs(low), abs(high))
    if low == high:
        half = max(0.5, narrowest)
        return low - half, high + half
    if high - low < narrowest:
        return low - narrowest, high + narrowest
    return low, high


def _histogram(finite: np.ndarray, span: tuple) -> tuple[np.ndarray, np.ndarray]:
    # The width of the range can overflow the dtype.
    is_wide = span[1] - span[0] > np.finfo(finite.dtype).max / NUM_BINS
    scale = 2.0**-10 if is_wide else 1
    scaled = finite * finite.dtype.type(scale) if is_wide else finite
    counts, edges = np.histogram(scaled, NUM_BINS, [end * scale for end in span])
    return counts, edges / edges.dtype.type(scale) if is_wide else edges


def _sum(rows: list[np.ndarray]) -> np.ndarray:
    """Sums vectors of the parts. Parts with fewer units are padded with zeros."""
    size = max(map(len, rows))
    return sum(np.pad(row, (0, size - len(row))) for row in rows)


def _activation_of(layer) -> str:
    """Returns the name of the layer's activation function, or "" if it has none."""
    function = getattr(layer, "activation", None)
    return getattr(function, "__name__", "") or activation_name(layer)
