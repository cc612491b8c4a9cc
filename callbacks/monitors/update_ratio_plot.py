"""Draws update ratios with a healthy band that follows the learning rate."""

import numpy as np


def relative_rates(learning_rate: np.ndarray) -> np.ndarray:
    """Returns learning rates divided by the peak rate.

    If the peak rate is unknown or zero, all values are 1. The value is NaN where the
    rate is zero or unknown.
    """
    rate = np.asarray(learning_rate, dtype="float64")
    finite = rate[np.isfinite(rate)]
    if not finite.size or finite.max() <= 0:
        return np.ones(len(rate))
    return np.where(rate > 0, rate, np.nan) / finite.max()


def records_at_peak(learning_rate: np.ndarray) -> np.ndarray:
    """Returns the indices of the records at which the learning rate is near its peak.

    These are the records with at least half of the peak rate; all records if the rate
    is unknown. The first record is left out if there are others, because the first
    update of Adam is the largest.
    """
    near = np.flatnonzero(relative_rates(learning_rate) >= 0.5)
    later = near[near > 0]
    return later if len(later) else near


def draw_band(ax, step, learning_rate, healthy: tuple[float, float]) -> None:
    """Draws the healthy band and the learning rate.

    The band applies at the peak of the learning rate. Elsewhere, it is scaled with
    the learning rate, because an update is proportional to the rate. The learning rate
    is the line in the middle of the band, for which the axis on the right is scaled.

    Args:
        ax: Matplotlib axes with a logarithmic y-axis and the steps as x-axis.
        step: Steps of the records.
        learning_rate: Learning rate of each record; NaN if unknown.
        healthy: Lower and upper bounds of the band at the peak rate.
    """
    low, high = healthy
    middle = np.sqrt(low * high)
    relative = relative_rates(learning_rate)
    line = {"color": "C2", "ls": "--", "lw": 1}
    if np.all(relative == 1):
        ax.axhspan(low, high, color="C2", alpha=0.12, lw=0, label="healthy")
        drawn = ax.axhline(middle, **line)
    else:
        edges = low * relative, high * relative
        ax.fill_between(step, *edges, color="C2", alpha=0.12, lw=0, label="healthy")
        (drawn,) = ax.plot(step, middle * relative, **line)
    rate = np.asarray(learning_rate, dtype="float64")
    if not np.any(rate > 0):
        return
    drawn.set_label("learning rate")
    per_ratio = np.nanmax(rate) / middle
    axis = ax.secondary_yaxis(
        "right", functions=(lambda y: y * per_ratio, lambda y: y / per_ratio)
    )
    axis.set_ylabel("learning rate", color="C2")
    axis.tick_params(colors="C2", labelsize=8)


def show_band(ax, healthy: tuple[float, float]) -> None:
    """Widens the y-axis so that the band at the peak rate is visible."""
    bottom, top = ax.get_ylim()
    low, high = healthy
    ax.set_ylim(min(bottom, low / 3), max(top, high * 3))
