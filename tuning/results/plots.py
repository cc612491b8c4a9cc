"""Plots of a search, drawn from the data that its `..._info()` methods return."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

COLUMNS = 3
FEW_VALUES = 6  # up to this many values, each value gets a tick
FEW_ROUNDS = 8  # up to this many rounds, the legend lists all, and bars are thick


def best_so_far(info: dict, objective: str, ax=None):
    """Plots the score of each trial, and the best score so far."""
    ax = _axes(ax)
    ax.plot(info["trial"], info["score"], ".", color="tab:gray", label="trial")
    ax.step(info["trial"], info["best"], where="post", label="best so far")
    ax.set(xlabel="trial", ylabel=objective)
    ax.legend()
    return ax


def expected_best(info: dict, objective: str, ax=None):
    """Plots the expected best score of n random trials, and the 10 % to 90 % band."""
    ax = _axes(ax)
    ax.plot(info["trials"], info["mean"], label="expected best")
    ax.fill_between(
        info["trials"], info["low"], info["high"], alpha=0.25, label="10 % to 90 %"
    )
    ax.set(xlabel="random trials", ylabel=f"best {objective}")
    ax.legend()
    return ax


def hyperparameters(infos: list[dict], objective: str, figure=None):
    """Plots the scores against each hyperparameter, on a suitable scale."""
    import matplotlib.pyplot as plt

    rows = -(-max(len(infos), 1) // COLUMNS)
    if figure is None:
        figure = plt.figure(figsize=(4 * COLUMNS, 3 * rows), layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True)
    axes = list(axes.flat)
    for ax, info in zip(axes, infos, strict=False):
        _hyperparameter(ax, info)
    for ax in axes[len(infos) :]:
        ax.remove()
    for ax in axes[: len(infos) : COLUMNS]:
        ax.set_ylabel(objective)
    if infos:
        _name_rounds(axes[0])
    return figure


def overview(search):
    """Plots the best score so far, the expected best score and all hyperparameters."""
    import matplotlib.pyplot as plt

    infos = search.hyperparameters_info()
    rows = -(-max(len(infos), 1) // COLUMNS)
    figure = plt.figure(figsize=(4 * COLUMNS, 3 * (rows + 1.2)), layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(1.2, rows))
    left, right = top.subplots(1, 2)
    search.plot_best_so_far(left)
    search.plot_expected_best(right)
    hyperparameters(infos, search.oracle.objective.name, bottom)
    return figure


def _hyperparameter(ax, info: dict) -> None:
    ax.set_xlabel(info["name"])
    values = info["values"]
    if info["scale"] == "category":
        names = sorted({str(value) for value in values})
        ticks = {name: tick for tick, name in enumerate(names)}
        # Shift equal values slightly, so that their points remain distinguishable.
        shift = np.linspace(-0.15, 0.15, max(len(values), 1))
        values = [ticks[str(v)] + s for v, s in zip(values, shift, strict=False)]
        ax.set_xticks(range(len(names)), names)
    else:
        ax.set_xscale(info["scale"])
        ax.xaxis.set_minor_formatter(NullFormatter())
        different = sorted(set(values))
        if len(different) <= FEW_VALUES:
            ax.set_xticks(different, [f"{value:g}" for value in different])
    points = ax.scatter(values, info["scores"], c=info["rounds"], s=14, cmap="viridis")
    _draw_ranges(ax, info["ranges"] or [], points)


def _draw_ranges(ax, ranges: list[tuple], points) -> None:
    """Draws one bar per round below the points, to show the range of the round.

    If there are many rounds, the bars are thinner and closer together.
    """
    step = min(1, FEW_ROUNDS / max(len(ranges), 1))
    ax.tick_params(axis="x", pad=4 + 8 * step * len(ranges))
    if not ranges:
        return
    numbers = np.arange(1, len(ranges) + 1)
    bars = LineCollection(
        [
            [(low, -0.03 * step * number), (high, -0.03 * step * number)]
            for number, (low, high) in zip(numbers, ranges, strict=True)
        ],
        transform=ax.get_xaxis_transform(),
        colors=points.cmap(points.norm(numbers)),
        linewidths=3 * step,
        clip_on=False,
    )
    ax.add_collection(bars, autolim=False)
    ends = [end for bounds in ranges for end in bounds]
    ax.update_datalim([(end, 0) for end in ends], updatey=False)
    ax.autoscale_view()


def _name_rounds(ax) -> None:
    """Adds a legend above the first panel if there are several rounds."""
    points = ax.collections[0]
    rounds = sorted(set(points.get_array()))
    if len(rounds) > FEW_ROUNDS:
        rounds = [rounds[0], rounds[len(rounds) // 2], rounds[-1]]
    if len(rounds) > 1:
        handles = [
            Line2D([], [], color=points.cmap(points.norm(number)), marker=".")
            for number in rounds
        ]
        labels = [f"round {number:g}" for number in rounds]
        above = {"loc": "lower left", "bbox_to_anchor": (0, 1), "frameon": False}
        ax.legend(handles, labels, ncols=len(rounds), **above)


def _axes(ax):
    import matplotlib.pyplot as plt

    return plt.subplots()[1] if ax is None else ax
