"""Plots of a search, drawn from the data that its `..._info()` methods return."""

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

COLUMNS = 4
WIDTH, HEIGHT = 3.0, 1.9  # inches, for the panel of a hyperparameter
TOP = 2.1  # inches, for the panels above
FEW_VALUES = 6  # up to this many values, each value gets a tick
BAR = 0.05  # distance of the bars, as a fraction of the height of the axes
FEW_ROUNDS = 8  # up to this many rounds, the legend lists all, and bars are thick


def best_so_far(info: dict, objective: str, ax=None):
    """Plots the score of each trial, and the best score so far."""
    ax = _axes(ax)
    low, high = inner_range(info["score"])
    shown = np.clip(info["score"], low, high)
    ax.plot(info["trial"], shown, ".", color="tab:gray", label="trial")
    _mark_outside(ax, info["trial"], info["score"], (low, high))
    ax.step(info["trial"], info["best"], where="post", label="best so far")
    ax.set(xlabel="trial", ylabel=objective)
    ax.legend()
    return ax.figure


def expected_best(info: dict, objective: str, ax=None):
    """Plots the expected best score of n random trials, and the 10 % to 90 % band."""
    ax = _axes(ax)
    ax.plot(info["trials"], info["mean"], label="expected best")
    ax.fill_between(
        info["trials"], info["low"], info["high"], alpha=0.25, label="10 % to 90 %"
    )
    ax.set(xlabel="random trials", ylabel=f"best {objective}")
    ax.legend()
    return ax.figure


def hyperparameters(infos: list[dict], objective: str, figure=None):
    """Plots the scores against each hyperparameter, on a suitable scale."""
    import matplotlib.pyplot as plt

    rows = -(-max(len(infos), 1) // COLUMNS)
    if figure is None:
        size = (WIDTH * COLUMNS, HEIGHT * rows + 0.4)
        figure = plt.figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, COLUMNS, squeeze=False, sharey=True)
    axes = list(axes.flat)
    limits = inner_range([score for info in infos for score in info["scores"]])
    for ax, info in zip(axes, infos, strict=False):
        _hyperparameter(ax, info, limits)
    for ax in axes[len(infos) :]:
        ax.remove()
    for ax in axes[: len(infos) : COLUMNS]:
        ax.set_ylabel(objective)
    if infos:
        _name_rounds(figure, axes[0])
    return figure


def overview(search):
    """Plots the best score so far, the expected best score and all hyperparameters."""
    import matplotlib.pyplot as plt

    infos = search.hyperparameters_info()
    rows = -(-max(len(infos), 1) // COLUMNS)
    size = (WIDTH * COLUMNS, HEIGHT * rows + TOP)
    figure = plt.figure(figsize=size, layout="constrained")
    top, bottom = figure.subfigures(2, 1, height_ratios=(TOP, HEIGHT * rows))
    left, right = top.subplots(1, 2)
    search.plot_best_so_far(left)
    search.plot_expected_best(right)
    right.set_ylim(left.get_ylim())  # without the outliers of the first trials
    hyperparameters(infos, search.oracle.objective.name, bottom)
    return figure


def inner_range(scores) -> tuple[float, float]:
    """Returns the range of scores without outliers, which would flatten the others.

    The range ends 1.5 interquartile ranges beyond the quartiles (Tukey's fences), but
    always includes the score that is closest to each fence.
    """
    scores = np.asarray(scores, float)
    if not len(scores):
        return 0.0, 1.0
    first, third = np.quantile(scores, [0.25, 0.75])
    reach = 1.5 * (third - first)
    inner = scores[(scores >= first - reach) & (scores <= third + reach)]
    return float(inner.min()), float(inner.max())


def _mark_outside(ax, x, scores, limits: tuple[float, float]) -> None:
    """Draws arrowheads at the edge for scores that lie outside of the limits."""
    x, scores = np.asarray(x, float), np.asarray(scores, float)
    for limit, marker, outside in (
        (limits[0], "v", scores < limits[0]),
        (limits[1], "^", scores > limits[1]),
    ):
        if outside.any():
            level = np.full(outside.sum(), limit)
            ax.plot(x[outside], level, marker, color="tab:red", ms=4, clip_on=False)


def _hyperparameter(ax, info: dict, limits: tuple[float, float]) -> None:
    ax.set_xlabel(info["name"])
    values, ranges = info["values"], info["ranges"]
    if info["scale"] == "category":
        names = sorted({str(v) for v in [*values, *(v for r in ranges for v in r)]})
        ticks = {name: tick for tick, name in enumerate(names)}
        # Shift equal values slightly, so that their points remain distinguishable.
        shift = np.linspace(-0.15, 0.15, max(len(values), 1))
        values = [ticks[str(v)] + s for v, s in zip(values, shift, strict=False)]
        ax.set_xticks(range(len(names)), names)
        ranges = [
            [(ticks[str(v)] - 0.3, ticks[str(v)] + 0.3) for v in kept]
            for kept in ranges
        ]
    else:
        ranges = [[bounds] for bounds in ranges]
        ax.set_xscale(info["scale"])
        ax.xaxis.set_minor_formatter(NullFormatter())
        different = sorted(set(values))
        if len(different) <= FEW_VALUES:
            ax.set_xticks(different, [f"{value:g}" for value in different])
    scores = np.clip(info["scores"], *limits)
    points = ax.scatter(values, scores, c=info["rounds"], s=12, cmap="viridis")
    _mark_outside(ax, values, info["scores"], limits)
    _draw_ranges(ax, ranges, points)


def _draw_ranges(ax, ranges: list[list[tuple]], points) -> None:
    """Draws the range of each round as one or more bars below the points.

    If there are many rounds, the bars are thinner and closer together.

    Args:
        ax: Matplotlib axes to draw on.
        ranges: The intervals `(low, high)` of each round.
        points: The points, whose colors show their round.
    """
    step = min(1, FEW_ROUNDS / max(len(ranges), 1))
    ax.tick_params(axis="x", pad=4 + 4.5 * step * len(ranges))
    if not ranges:
        return
    bars = [
        (number, low, high)
        for number, intervals in enumerate(ranges, start=1)
        for low, high in intervals
    ]
    numbers = np.array([number for number, _, _ in bars])
    collection = LineCollection(
        [
            [(low, -BAR * step * number), (high, -BAR * step * number)]
            for number, low, high in bars
        ],
        transform=ax.get_xaxis_transform(),
        colors=points.cmap(points.norm(numbers)),
        linewidths=2.5 * step,
        clip_on=False,
    )
    ax.add_collection(collection, autolim=False)
    ends = [end for _, *bounds in bars for end in bounds]
    ax.update_datalim([(end, 0) for end in ends], updatey=False)
    ax.autoscale_view()


def _name_rounds(figure, ax) -> None:
    """Adds a legend above the panels if there are several rounds."""
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
        above = {"loc": "outside upper left", "frameon": False, "fontsize": 9}
        figure.legend(handles, labels, ncols=len(rounds), **above)


def _axes(ax):
    import matplotlib.pyplot as plt

    return plt.subplots()[1] if ax is None else ax
