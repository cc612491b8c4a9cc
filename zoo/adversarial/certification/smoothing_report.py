"""What randomised smoothing has certified."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..robustness_report import wilson_interval

ABSTAINED = -1


@dataclass(frozen=True)
class SmoothingReport:
    """Holds what `SmoothedClassifier.certify` has found; `print` shows it as a table.

    Args:
        sigma: The standard deviation of the noise.
        n: Draws for each example.
        alpha: The probability that the certificate of an example is wrong.
        labels: Int array of shape `(examples,)`.
        predictions: Int array of shape `(examples,)`, -1 for abstention.
        radii: Float64 array of shape `(examples,)`: the l2 norm below which no
            perturbation changes the prediction, 0 for abstention.
        seconds: How long it took, interruptions not counted.
    """

    sigma: float
    n: int
    alpha: float
    labels: np.ndarray
    predictions: np.ndarray
    radii: np.ndarray
    seconds: float

    def certified_accuracy(self, radius: float) -> float:
        """Returns the share of the examples that are right within a radius in l2."""
        return float(self._certified(radius).mean())

    def to_frame(self) -> pd.DataFrame:
        """Returns a row for every example.

        Columns are `label`, `prediction` (-1 for abstention), `radius`, `correct` and
        `abstained`.
        """
        return pd.DataFrame(
            {
                "label": self.labels,
                "prediction": self.predictions,
                "radius": self.radii,
                "correct": self.labels == self.predictions,
                "abstained": self.predictions == ABSTAINED,
            }
        )

    def plot(self, figure=None):
        """Draws the certified accuracy against the radius.

        Args:
            figure: Matplotlib figure to draw on. Defaults to `None`: a new one.

        Returns:
            The figure.
        """
        import matplotlib.pyplot as plt

        if figure is None:
            figure = plt.figure(figsize=(5.5, 4.2), layout="constrained")
        ax = figure.subplots()
        radii = np.linspace(0, 1.05 * max(self.radii.max(), self.sigma), 200)
        counts = [int(self._certified(radius).sum()) for radius in radii]
        low, high = zip(
            *(wilson_interval(count, len(self.labels)) for count in counts), strict=True
        )
        ax.fill_between(radii, low, high, alpha=0.2, lw=0)
        ax.plot(
            radii, np.array(counts) / len(self.labels), label=f"sigma {self.sigma:g}"
        )
        ax.set(xlabel="radius (l2)", ylabel="certified accuracy", ylim=(-0.02, 1.02))
        ax.legend(fontsize=8)
        return figure

    def __str__(self) -> str:
        rows = []
        for radius in self.sigma * np.arange(0, 4):
            count = int(self._certified(radius).sum())
            low, high = wilson_interval(count, len(self.labels))
            rows.append(
                {
                    "radius": f"{radius:g}",
                    "certified": f"{100 * count / len(self.labels):.2f}",
                    "95 % interval": f"{100 * low:.2f} - {100 * high:.2f}",
                }
            )
        abstained = int((self.predictions == ABSTAINED).sum())
        return (
            f"Smoothed with sigma {self.sigma:g}: certified accuracy in l2, of "
            f"{len(self.labels):,} examples, {abstained:,} abstained ({self.n:,} draws "
            f"each, alpha {self.alpha:g}, {self.seconds:.0f} s)\n"
            f"{pd.DataFrame(rows).to_string(index=False)}"
        )

    def _certified(self, radius: float) -> np.ndarray:
        is_within = self.radii > radius if radius > 0 else self.radii >= 0
        return (self.labels == self.predictions) & is_within
