"""The result of a learning rate range test."""

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

# Clarity that about 1 in 1,000 tests of 40 to 500 steps has if the loss does not fall.
CLEAR_FALL = 5.0


@dataclass(frozen=True, eq=False, repr=False)
class RangeTest:
    """The loss at every learning rate that `find_learning_rate` tried.

    The suggested learning rates, `steepest` and `tenth_of_minimum`, are starting points
    for a search, not final values. The steps before step number 1 / (1 - smoothing) are
    ignored, because their smoothed losses are averages of too few values and are
    therefore noisy. If the loss does not fall after that step by clearly more than it
    varies from batch to batch, both suggestions are `None`: larger batches, or more
    steps, may show a fall.

    Args:
        learning_rates: Array of the learning rates, in increasing order.
        losses: Array of the losses. Each loss was measured immediately before the
            update with the corresponding learning rate.
        smoothed_losses: Array of the exponential moving averages of the losses.
        smoothing: Decay factor for the moving averages.
        diverged: Whether the test stopped because the loss diverged.
        fault: Why no rate suits the weights of the model. If it is not empty, both
            suggestions are `None`. Defaults to `""`: no fault is known.

    Attributes:
        steepest: Learning rate at which the smoothed loss decreased fastest with
            respect to log(learning rate), from shortly before its clear fall on.
        tenth_of_minimum: One tenth of the learning rate at which the smoothed loss is
            lowest.

    Example:

    >>> rates = np.geomspace(1e-6, 1, 61)
    >>> losses = 2 - np.tanh(2 * np.log10(rates / 1e-3))
    >>> test = RangeTest(rates, losses, losses, smoothing=0.9, diverged=False)
    >>> test
    <RangeTest of 61 rates from 1e-06 to 1: steepest 0.001, tenth of minimum 0.1>
    """

    learning_rates: np.ndarray
    losses: np.ndarray
    smoothed_losses: np.ndarray
    smoothing: float
    diverged: bool
    fault: str = ""

    @property
    def steepest(self) -> float | None:
        falling = self._falling()
        if falling is None:
            return None
        start, lowest = falling
        first = max(start - self._run_in(), self._run_in() - 1)
        slopes = np.gradient(self.smoothed_losses[: lowest + 1])[first:]
        return float(self.learning_rates[first + np.argmin(slopes)])

    @property
    def tenth_of_minimum(self) -> float | None:
        falling = self._falling()
        return None if falling is None else float(self.learning_rates[falling[1]] / 10)

    def to_frame(self):
        """Returns a `pandas.DataFrame` with one row for each step of the test."""
        import pandas as pd

        return pd.DataFrame(
            {
                "learning_rate": self.learning_rates,
                "loss": self.losses,
                "smoothed_loss": self.smoothed_losses,
            }
        )

    def plot(self, ax=None):
        """Plots the loss against the learning rate, and marks the suggested rates.

        Args:
            ax: Matplotlib axes to draw on. Defaults to `None`, which creates new axes.

        Returns:
            The Matplotlib figure.
        """
        import matplotlib.pyplot as plt

        if ax is None:
            _, ax = plt.subplots()
        ax.plot(self.learning_rates, self.losses, color="0.8", label="loss")
        ax.plot(self.learning_rates, self.smoothed_losses, label="smoothed loss")
        for color, name, rate in (
            ("C1", "steepest descent", self.steepest),
            ("C2", "a tenth of the minimum", self.tenth_of_minimum),
        ):
            if rate is not None:
                ax.axvline(rate, color=color, ls="--", label=f"{name}: {rate:.2g}")
        if self._falling():  # so that a diverging loss does not set the scale
            top = self.smoothed_losses[self._run_in() - 1]
            bottom = np.nanmin(self.losses)
            ax.set_ylim(bottom - 0.1 * (top - bottom), top + 0.5 * (top - bottom))
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss of a batch")
        ax.legend()
        return ax.figure

    def __repr__(self) -> str:
        rates = self.learning_rates
        if self.fault:
            found = f"no rate suggested, because {self.fault.removesuffix('.')}"
        elif self._falling() is None:
            found = (
                "no rate suggested, because the loss does not fall by clearly more "
                "than it varies from batch to batch; try larger batches or more steps"
            )
        else:
            found = (
                f"steepest {self.steepest:.2g}, "
                f"tenth of minimum {self.tenth_of_minimum:.2g}"
            )
        return (
            f"<RangeTest of {len(rates)} rates from {rates[0]:.2g} to {rates[-1]:.2g}"
            f"{', diverged' if self.diverged else ''}: {found}>"
        )

    def _run_in(self) -> int:
        """Returns how many losses the moving average needs to be meaningful."""
        return min(round(1 / (1 - self.smoothing)), len(self.losses))

    def _falling(self) -> tuple[int, int] | None:
        """Returns the indices where the loss falls, and of the lowest smoothed loss.

        Returns `None` if the loss does not clearly fall after the run-in of the moving
        average, or if the weights have a fault.
        """
        first = self._run_in() - 1
        index, clarity = _clearest_fall(self.losses[first:])
        if self.fault or clarity < CLEAR_FALL:
            return None
        start = first + index
        seen = np.where(np.isfinite(self.smoothed_losses), self.smoothed_losses, np.inf)
        return start, start + int(np.argmin(seen[start:]))


def _clearest_fall(losses: np.ndarray) -> tuple[int, float]:
    """Returns the index at which losses fall, and the clarity of the fall.

    The losses before the index are compared with those from the index to any later
    one. The index is that of the largest difference of the means, in units of its
    standard error, which is the clarity. Losses are replaced by their ranks, so that
    outliers and a divergence do not matter. The noise of the ranks is estimated from
    the differences of neighbors.
    """
    ranks = rankdata(losses[np.isfinite(losses)])
    if len(ranks) < 3:
        return 0, 0.0
    sums = np.concatenate([[0.0], np.cumsum(ranks)])
    start, stop = np.ogrid[1 : len(ranks), 2 : len(ranks) + 1]
    after = np.maximum(stop - start, 1)
    fall = sums[start] / start - (sums[stop] - sums[start]) / after
    scores = np.where(stop > start, fall * np.sqrt(start * after / stop), 0.0)
    index = int(np.argmax(scores.max(axis=1)))
    noise = np.sqrt(np.mean(np.diff(ranks) ** 2) / 2)
    return index + 1, float(scores[index].max() / max(noise, 0.5))
