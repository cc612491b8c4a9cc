"""Pictures of a training run: loss, update ratio, gradients by depth."""

import numpy as np

from ...monitors.names import layer_of
from ...monitors.plots import evenly_spaced
from ...monitors.update_ratio_plot import draw_band, show_band
from ..run.training_facts import TrainingFacts
from .colors import ACCENT, INK, LIGHT, legend, name_ticks

HEALTHY = (1e-4, 1e-2)  # update ratio at the peak rate, as in `UpdateRatio`
FEW_EPOCHS = 30  # each of which is marked with a point
DECADES = 3  # that the axis of the gradients shows at least
WIDE = 50.0  # ratio of losses that a linear axis cannot show


def draw_loss(training: TrainingFacts, trivial: float | None, ax, where: str) -> None:
    """Draws the losses, next to that of a constant predictor."""
    seen = [] if trivial is None else [trivial]
    for name, label, color in (
        ("loss", "training", INK),
        ("val_loss", "validation", ACCENT),
    ):
        values = training.curve(name)
        if not len(values):
            continue
        epochs = np.arange(1, len(values) + 1)
        style = "o-" if len(values) <= FEW_EPOCHS else "-"
        ax.plot(epochs, values, style, color=color, label=label, ms=3)
        is_finite = np.isfinite(values)
        seen += values[is_finite].tolist()
        if not is_finite.all():
            first = epochs[~is_finite][0]
            ax.axvspan(first - 0.5, len(values) + 0.5, color=color, alpha=0.12, lw=0)
            ax.plot([], [], "s", color=color, alpha=0.3, label=f"{label} not finite")
    if trivial is not None:
        ax.axhline(trivial, color=LIGHT, ls="--", label="constant prediction")
    if seen and min(seen) > 0 and max(seen) > WIDE * min(seen):
        ax.set_yscale("log")
    elif seen and min(seen) >= 0:
        ax.set_ylim(bottom=0)
    ax.set(xlabel="epoch", ylabel="loss")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.set_xlim(0.5, max(training.num_epochs, 1) + 0.5)
    legend(ax)


def draw_ratio(training: TrainingFacts, ax, where: str) -> None:
    """Draws the update ratio with the learning rate."""
    ratio = training.ratio[:, training.kernels]
    ratio = np.where(ratio > 0, ratio, np.nan)
    median = np.where(training.median_ratio > 0, training.median_ratio, np.nan)
    marker = "." if len(training.step) <= FEW_EPOCHS else None
    ax.set(yscale="log", xlabel="step", ylabel="update / weight")
    draw_band(ax, training.step, training.learning_rate, HEALTHY)
    lines = ax.plot(training.step, ratio, color=LIGHT, lw=0.7, marker=marker, ms=2)
    lines[0].set_label("one layer")
    ax.plot(training.step, median, color=INK, lw=2, marker=marker, label="median")
    show_band(ax, HEALTHY)
    legend(ax, columns=2)


def draw_gradients(training: TrainingFacts, ax, where: str) -> None:
    """Draws how much the loss depends on each kernel, at the start and at the end."""
    kernels = training.kernels
    values = (training.gradient_norm * training.weight_norm)[:, kernels]
    values = np.where(np.isfinite(values) & (values > 0), values, np.nan)
    known = np.flatnonzero(np.isfinite(values).any(axis=1))
    rows = dict.fromkeys([known[0], known[-1]]) if len(known) else {}
    for row, color in zip(rows, (LIGHT, INK), strict=False):
        label = f"step {training.step[row]}"
        ax.plot(values[row], "o-", color=color, label=label, ms=4)
    names = [layer_of(training.variables[i]) for i in kernels]
    shown = evenly_spaced(range(len(kernels)))
    name_ticks(ax.xaxis, shown, [names[i] for i in shown], where)
    ax.set(ylabel="gradient x weight norm", yscale="log")
    if rows:
        _show_decades(ax)
        legend(ax, 2, above=True)


def _show_decades(ax) -> None:
    """Widens a logarithmic y-axis to some decades, so that noise looks like noise."""
    low, high = ax.get_ylim()
    factor = max(1.0, 10 ** (DECADES / 2) / np.sqrt(high / low))
    ax.set_ylim(low / factor, high * factor)
