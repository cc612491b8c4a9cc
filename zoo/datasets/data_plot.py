"""Plots a dataset: the distribution of its targets, and some examples."""

import itertools

import numpy as np

from .example_panels import draw_examples

MAX_EXAMPLES = 50_000  # examples whose targets are counted
SHOWN = 12  # examples in the panel
MAX_BARS = 30


def draw_data(data, figure=None):
    """Plots the distribution of the targets in the train split, and some examples.

    Args:
        data: A `Data`.
        figure: Matplotlib figure or subfigure to draw in. Defaults to `None`, which
            creates a new figure.

    Returns:
        The Matplotlib figure.
    """
    import matplotlib.pyplot as plt

    x, y = _first_examples(data)
    if figure is None:
        figure = plt.figure(figsize=(11, 4.2), layout="constrained")
    left, right = figure.subfigures(1, 2, width_ratios=(4.5, 6.5))
    _draw_targets(left.subplots(), data, y)
    draw_examples(right, x[:SHOWN], [_title(data, one) for one in y[:SHOWN]], data)
    sizes = ", ".join(f"{size:,} {split}" for split, size in data.sizes.items())
    figure.suptitle(f"{data.name}: {data.task}; {sizes}", fontsize=10)
    return figure


def _first_examples(data) -> tuple[np.ndarray, np.ndarray]:
    """Returns the first inputs, and the targets of at most `MAX_EXAMPLES` examples."""
    inputs, targets, count = None, [], 0
    for x, y in data.train_batches():
        inputs = x[:SHOWN] if inputs is None else inputs
        targets.append(y)
        count += len(y)
        if count >= MAX_EXAMPLES:
            break
    return np.asarray(inputs), np.concatenate(targets)[:MAX_EXAMPLES]


def _draw_targets(ax, data, y: np.ndarray) -> None:
    if data.task == "regression":
        for index, column in enumerate(y.T):
            label = f"target {index}" if y.shape[1] > 1 else None
            ax.hist(column, bins=50, alpha=0.6, label=label)
        ax.set(xlabel="target", ylabel="examples in train")
        if y.shape[1] > 1:
            ax.legend(fontsize=8)
        return
    names = data.vocabulary if data.task == "language_model" else data.class_names
    counts = y.sum(axis=0) if data.task == "multi_label" else np.bincount(y.ravel())
    counts = np.pad(counts, (0, len(names) - len(counts)))
    order = np.arange(len(counts))
    if len(order) > MAX_BARS:
        order = np.argsort(-counts, kind="stable")[:MAX_BARS]
    bars = ax.barh([_shown(names[index]) for index in order], counts[order])
    ax.bar_label(bars, fontsize=7, padding=2, fmt="{:,.0f}")
    ax.margins(x=0.15)
    ax.locator_params(axis="x", nbins=5)
    ax.invert_yaxis()
    ax.tick_params(axis="y", labelsize=8)
    kind = "tokens" if data.task == "language_model" else "examples"
    most = f", the {len(order)} most frequent of {len(names):,}"
    ax.set_xlabel(f"{kind} in train" + (most if len(names) > MAX_BARS else ""))


def _title(data, y) -> str:
    if data.task == "classification":
        return str(data.class_names[int(y)])
    if data.task == "multi_label":
        pairs = zip(data.class_names, y, strict=True)
        return ", ".join(str(name) for name, applies in pairs if applies) or "none"
    if data.task == "regression":
        return ", ".join(f"{value:.4g}" for value in itertools.islice(y, 3))
    return ""


def _shown(name: str) -> str:
    """Returns a name that is visible: for a newline, its escape sequence."""
    is_visible = str(name).isprintable() and str(name).strip()
    return (str(name) if is_visible else repr(name)).replace("$", r"\$")
