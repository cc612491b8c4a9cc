"""Records of forward passes, and a function that converts these records to arrays."""

from dataclasses import dataclass

import numpy as np

from .layer_statistics import LayerStatistics

FIGURES = (
    "mean",
    "deviation",
    "non_finite",
    "zeros",
    "dead",
    "saturated",
    "edges",
    "counts",
)


@dataclass(frozen=True, eq=False)
class ActivationRecord:
    """Statistics of all layers in one forward pass.

    Attributes:
        step: Number of training steps completed before the pass.
        epoch: Number of epochs completed before the pass.
        layers: Statistics of the layers that ran, in the order in which they were
            called.
    """

    step: int
    epoch: int
    layers: list[LayerStatistics]


def latest_statistics(records: list[ActivationRecord]) -> dict[str, LayerStatistics]:
    """Returns a dict that maps each layer name to the latest statistics of that layer.

    The layers of the last record come first.
    """
    found: dict[str, LayerStatistics] = {}
    for record in reversed(records):
        for layer in record.layers:
            found.setdefault(layer.name, layer)
    return found


def arrays_of(records: list[ActivationRecord]) -> dict:
    """Converts records to the dict that `activation_info()` returns."""
    latest = latest_statistics(records)
    rows = [_row(record, latest) for record in records]
    arrays = {
        "step": np.array([record.step for record in records], dtype="int64"),
        "epoch": np.array([record.epoch for record in records], dtype="int64"),
        "layer": np.array(list(latest), dtype=str),
    }
    for figure in FIGURES:
        arrays[figure] = np.array([[getattr(one, figure) for one in r] for r in rows])
    for index, name in enumerate(latest):
        for figure in ("unit_zeros", "unit_saturated"):
            units = [getattr(row[index], figure) for row in rows]
            arrays[f"{figure}/{name}"] = _stack(units)
    return arrays


def summary_of(record: ActivationRecord) -> str:
    """Describes the worst layers of one forward pass in a sentence."""
    layers = record.layers
    broken = [layer.name for layer in layers if layer.non_finite]
    if broken:
        return f"In the last pass, the outputs of {broken[0]} are not finite."
    parts = []
    for word in ("dead", "saturated"):
        shares = {one.name: getattr(one, word) for one in layers if one.is_activation}
        known = {name: share for name, share in shares.items() if np.isfinite(share)}
        if not known:
            continue
        most = max(known, key=known.__getitem__)
        if known[most] > 0:
            parts.append(f"at most {known[most]:.0%} of the units are {word} ({most})")
        else:
            parts.append(f"no unit is {word}")
    if not parts:
        return "The model has no layer with an activation function."
    return f"In the last pass, {' and '.join(parts)}."


def _row(record: ActivationRecord, latest: dict) -> list[LayerStatistics]:
    """Returns the statistics of all layers in one pass.

    For a layer that did not run, all counts are 0 and the other statistics are NaN.
    """
    ran = {layer.name: layer for layer in record.layers}
    return [
        ran[name] if name in ran else other.without_outputs()
        for name, other in latest.items()
    ]


def _stack(vectors: list[np.ndarray]) -> np.ndarray:
    """Stacks the vectors of all passes, after padding shorter vectors with NaN."""
    size = max(map(len, vectors))
    return np.array(
        [np.pad(one, (0, size - len(one)), constant_values=np.nan) for one in vectors]
    )
