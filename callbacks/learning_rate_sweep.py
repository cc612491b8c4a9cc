"""The result of a learning rate range test."""

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False, repr=False)
class RangeTest:
    """The loss at every learning rate that `find_learning_rate` tried.

    The suggested learning rates, `steepest` and `tenth_of_minimum`, are starting points
    for a search, not final values. The steps before step number 1 / (1 - smoothing) are
    ignored, because their smoothed losses are averages of too few values and are
    therefore noisy. If the smoothed loss did not decrease after that step, both
    suggestions are `None`.

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
            respect to log(learning rate).
        tenth_of_minimum: One tenth of the learning rate at which the smoothed loss is
            lowest.

    Example:

    >>> rates = np.geomspace(1e-4, 1, 5)
    >>> losses = np.array([4.0, 4.0, 2.0, 1.0, 9.0])
    >>> test = RangeTest(rates, losses, losses, smoothing=0.0, diverged=True)
    >>> test
    <RangeTest of 5 rates from 0.0001 to 1, diverged: steepest 0.01, \
tenth of minimum 0.01>
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
        first, lowest = falling
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
        falling = self._falling()
        if falling is not None:  # so that a diverging loss does not set the scale
            top, bottom = self.smoothed_losses[falling[0]], np.nanmin(self.losses)
            ax.set_ylim(bottom - 0.1 * (top - bottom), top + 0.5 * (top - bottom))
        ax.set(xscale="log", xlabel="learning rate", ylabel="loss of a batch")
        ax.legend()
        return ax.figure

    def __repr__(self) -> str:
        steepest, tenth = (
            "none" if rate is None else f"{rate:.2g}"
            for rate in (self.steepest, self.tenth_of_minimum)
        )
        rates = self.learning_rates
        found = f"steepest {steepest}, tenth of minimum {tenth}"
        if self.fault:
            found = f"no rate suggested, because {self.fault.removesuffix('.')}"
        return (
            f"<RangeTest of {len(rates)} rates from {rates[0]:.2g} to {rates[-1]:.2g}"
            f"{', diverged' if self.diverged else ''}: {found}>"
        )

    def _falling(self) -> tuple[int, int] | None:
        """Returns the indices of the first usable step and of the lowest smoothed loss.

        Returns `None` if the smoothed loss does not decrease after the first usable
        step, or if the weights have a fault.
        """
        if self.fault:
            return None
        first = min(round(1 / (1 - self.smoothing)), len(self.losses)) - 1
        seen = np.where(np.isfinite(self.smoothed_losses), self.smoothed_losses, np.inf)
        lowest = first + int(np.argmin(seen[first:]))
        return (first, lowest) if lowest > first else None
