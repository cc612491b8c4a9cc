"""The results of `minimal_perturbations`."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...utils.printable import Printable

QUANTILES = (0.1, 0.25, 0.5, 0.75, 0.9)


@dataclass(frozen=True, repr=False)
class PerturbationReport(Printable):
    """Stores the results of `minimal_perturbations`; `print` shows them as a table.

    Args:
        norm: "linf", "l2" or "l1".
        labels: Int array of shape `(examples,)`.
        fooled: Int array of shape `(examples,)`: the classes that the model predicts
            for the adversarial examples.
        distances: Float64 array of shape `(examples,)`: the norm of the smallest
            perturbation found for each example. It is an upper bound for the distance
            to the nearest adversarial example. It is 0 for examples that are
            misclassified without a perturbation, and infinite for examples for which no
            perturbation was found.
        adversarial: Float32 array with the shape of the inputs: the adversarial
            examples. Examples for which no perturbation was found are unchanged.
        seconds: Running time.

    Attributes:
        median: The median of the distances.
    """

    norm: str
    labels: np.ndarray
    fooled: np.ndarray
    distances: np.ndarray
    adversarial: np.ndarray
    seconds: float

    @property
    def median(self) -> float:
        return float(np.median(self.distances))

    def robust_accuracy(self, epsilon: float) -> float:
        """Returns the fraction of examples that are not broken within epsilon.

        As the attack may miss smaller perturbations, this is an upper bound.
        """
        withstood = (self.distances > epsilon) & (self.distances > 0)
        return float(withstood.mean())

    def to_frame(self) -> pd.DataFrame:
        """Returns a pandas `DataFrame` with one row per example.

        The columns are `label`, `fooled` (the class that is predicted for the
        adversarial example) and `distance`.
        """
        return pd.DataFrame(
            {
                "label": self.labels,
                "fooled": self.fooled,
                "distance": self.distances,
            }
        )

    def plot(self, figure=None):
        """Plots the accuracy that the smallest perturbations leave, against epsilon.

        Args:
            figure: Matplotlib figure for the plot. Defaults to `None`: a new figure.

        Returns:
            The figure.
        """
        import matplotlib.pyplot as plt

        if figure is None:
            figure = plt.figure(figsize=(5.5, 4.2), layout="constrained")
        ax = figure.subplots()
        finite = np.sort(self.distances[np.isfinite(self.distances)])
        epsilons = np.concatenate([[0.0], finite])
        ax.step(epsilons, [self.robust_accuracy(e) for e in epsilons], where="post")
        if np.isfinite(self.median):
            ax.axvline(self.median, color="k", lw=0.8, ls="--", label="median")
            ax.legend(fontsize=8)
        ax.set(xlabel=f"epsilon ({self.norm})", ylabel="accuracy", ylim=(-0.02, 1.02))
        return figure

    def __str__(self) -> str:
        quantiles = np.quantile(self.distances, QUANTILES, method="higher")
        table = pd.DataFrame(
            {
                "examples up to": [f"{100 * share:.0f} %" for share in QUANTILES],
                "distance": [f"{value:.4g}" for value in quantiles],
            }
        )
        missed = int(np.isinf(self.distances).sum())
        return (
            f"Smallest perturbations found in {self.norm}, on {len(self.labels):,} "
            f"examples ({self.seconds:.0f} s); none found for {missed:,}\n"
            f"{table.to_string(index=False)}"
        )
