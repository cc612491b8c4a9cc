"""Pictures of a model and its data: activations, outputs, inputs, weights, layers."""

from collections.abc import Sequence

import numpy as np

from ...monitors.layer_statistics import LayerStatistics
from ...monitors.plots import evenly_spaced
from ..data.data_facts import InputFacts, TargetFacts
from ..reading.graph import Node
from .colors import ACCENT, GOOD, INK, LIGHT, is_named, legend, name_ticks, shortened

NUM_BINS = 40
MAX_BARS = 40  # classes or columns that have a bar of their own
MAX_BOXES = 9  # layers of the model that are drawn


def draw_activations(layers: Sequence[LayerStatistics], ax, where: str) -> None:
    """Draws the fractions of dead and saturated units of every layer."""
    layers = evenly_spaced(layers)
    positions = np.arange(len(layers))
    for offset, color, word in ((-0.2, ACCENT, "dead"), (0.2, LIGHT, "saturated")):
        percent = [100 * np.nan_to_num(getattr(one, word)) for one in layers]
        ax.barh(positions + offset, percent, 0.4, color=color, label=word)
    names = [one.name for one in layers]
    name_ticks(ax.yaxis, positions, names, where)
    ax.invert_yaxis()
    ax.set(xlim=(0, 100), xlabel="% of the units")
    legend(ax, 2, above=True)


def draw_outputs(outputs: np.ndarray, target: TargetFacts, ax, where: str) -> None:
    """Draws the distributions of the outputs and of the targets.

    Outputs with one number per class are drawn as predicted classes.
    """
    classes = target.classes()
    size = outputs.shape[-1] if outputs.ndim == 2 else 1
    if classes is not None and _are_few(classes, size) and np.isfinite(outputs).all():
        _draw_classes(outputs.argmax(axis=-1), classes, ax)
    else:
        _draw_values(outputs.ravel(), target.values.ravel(), ax)
    legend(ax, 2, above=True)


def _are_few(classes: np.ndarray, size: int) -> bool:
    """Checks whether `size` scores can be drawn next to the class indices."""
    is_index = len(classes) > 0 and classes.min() >= 0
    return bool(is_index and 1 < size <= MAX_BARS and classes.max() < MAX_BARS)


def _draw_classes(predicted: np.ndarray, classes: np.ndarray, ax) -> None:
    number = int(max(predicted.max(), classes.max())) + 1
    for offset, values, color, label in (
        (-0.2, classes, LIGHT, "labels"),
        (0.2, predicted, INK, "predictions"),
    ):
        percent = 100 * np.bincount(values, minlength=number) / len(values)
        ax.bar(np.arange(number) + offset, percent, 0.4, color=color, label=label)
    ax.set(xlabel="class", ylabel="% of the examples")
    ax.xaxis.get_major_locator().set_params(integer=True)


def _draw_values(outputs: np.ndarray, targets: np.ndarray, ax) -> None:
    parts = [values[np.isfinite(values)] for values in (targets, outputs)]
    bins = np.histogram_bin_edges(np.concatenate(parts), NUM_BINS)
    for values, color, label in zip(
        parts, (LIGHT, INK), ("targets", "outputs"), strict=True
    ):
        if len(values):
            weights = np.full(len(values), 100 / len(values))
            style = {"alpha": 0.7, "color": color, "label": label}
            ax.hist(values, bins, weights=weights, **style)
    ax.set(xlabel="value", ylabel="% of the values")


def draw_inputs(facts: InputFacts, ax, where: str) -> None:
    """Draws the scale of each column of an input, largest first."""
    values = np.sort(facts.column_rms)[::-1]
    positions = np.arange(1, len(values) + 1)
    if len(values) <= MAX_BARS:
        ax.bar(positions, values, color=INK)
    else:
        ax.plot(positions, values, color=INK)
    ax.axhline(1, color=GOOD, ls="--", label="expected")
    positive = values[values > 0]
    if positive.size and (positive[0] > 20 or positive[0] < 0.1):
        ax.set_yscale("log")
    ax.set(xlabel="column, sorted by size", ylabel="root mean square")
    ax.xaxis.get_major_locator().set_params(integer=True)
    legend(ax, 2, above=True)


def draw_weights(nodes: Sequence[Node], ax, where: str) -> None:
    """Draws the gain of every kernel, or of evenly spaced ones if there are many."""
    nodes = evenly_spaced(nodes)
    gains = np.array([node.kernel.gain for node in nodes])
    ax.axhspan(0.5, 2.5, color=GOOD, alpha=0.12, lw=0, label="usual")
    ax.plot(gains, "o", color=INK)
    names = [node.name for node in nodes]
    name_ticks(ax.xaxis, range(len(nodes)), names, where)
    ax.set(ylabel="rms weight x sqrt(inputs)", xlim=(-0.5, len(nodes) - 0.5))
    if gains.max() > 10 or 0 < gains.min() < 0.1:
        ax.set_yscale("log")
    legend(ax, 2, above=True)


def draw_graph(nodes: Sequence[Node], ax, where: str) -> None:
    """Draws the layers as boxes, and highlights those that the finding names."""
    rows = _boxes(nodes, where)
    for row, node in enumerate(rows):
        text, color, box = "...", LIGHT, None
        if node is not None:
            text = _describe(node)
            color = ACCENT if is_named(node.name, where) else INK
            box = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": color}
        center = {"ha": "center", "va": "center"}
        ax.text(0.5, -row, text, color=color, fontsize=8, bbox=box, **center)
    ax.set(xlim=(0, 1), ylim=(-len(rows) + 0.4, 0.6))
    ax.axis("off")


def _boxes(nodes: Sequence[Node], where: str) -> list[Node | None]:
    """Returns the layers to draw; `None` stands for layers that are left out."""
    if len(nodes) <= MAX_BOXES:
        return list(nodes)
    named = [i for i, node in enumerate(nodes) if is_named(node.name, where)]
    center = named[0] if named else len(nodes) - 1
    half = MAX_BOXES // 2
    first = min(max(center - half, 0), len(nodes) - MAX_BOXES)
    rows: list[Node | None] = list(nodes[first : first + MAX_BOXES])
    before = [None] if first > 0 else []
    after = [None] if first + MAX_BOXES < len(nodes) else []
    return [*before, *rows, *after]


def _describe(node: Node) -> str:
    shape = " x ".join(map(str, node.shape)) or "scalar"
    is_active = node.activation not in (None, "linear")
    activation = f", {node.activation}" if is_active else ""
    return f"{shortened(node.name)}: {node.kind}{activation} -> {shape}"
