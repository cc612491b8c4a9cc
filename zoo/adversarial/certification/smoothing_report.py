"""The results of `SmoothedClassifier.certify`."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...utils.confidence_intervals import wilson_interval
from ...utils.printable import Printable

ABSTAINED = -1


@dataclass(frozen=True, repr=False)
class SmoothingReport(Printable):
    """Stores the results of `SmoothedClassifier.certify`; `print` shows a table.

    Args:
        sigma: Standard deviation of the noise.
        n: Number of draws per example.
        alpha: Largest probability that the certificate of an example is wrong.
        labels: Int array of shape `(examples,)`.
        predictions: Int array of shape `(examples,)`, with -1 for abstentions.
        radii: Float64 array of shape `(examples,)`: no perturbation with an l2 norm
            below the radius changes the prediction. The radius of an abstention is 0.
        seconds: Running time, without interruptions.
    """

    sigma: float
    n: int
    alpha: float
    labels: np.ndarray
    predictions: np.ndarray
    radii: np.ndarray
    seconds: float

    def certified_accuracy(self, radius: float) -> float:
        """Returns the fraction of examples that are certified at an l2 radius."""
        return float(self._certified(radius).mean())

    def to_frame(self) -> pd.DataFrame:
        """Returns a pandas `DataFrame` with one row per example.

        The columns are `label`, `prediction` (-1 for an abstention), `radius`,
        `correct` and `abstained`.
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
        """Plots the certified accuracy against the radius.

        Args:
            figure: Matplotlib figure for the plot. Defaults to `None`: a new figure.

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
            f"Certified accuracy in l2 by smoothing with sigma {self.sigma:g}, on "
            f"{len(self.labels):,} examples, {abstained:,} abstained ({self.n:,} draws "
            f"each, alpha {self.alpha:g}, {self.seconds:.0f} s)\n"
            f"{pd.DataFrame(rows).to_string(index=False)}"
        )

    def _certified(self, radius: float) -> np.ndarray:
        is_within = self.radii > radius if radius > 0 else self.radii >= 0
        return (self.labels == self.predictions) & is_within
