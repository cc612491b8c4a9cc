"""What a certification has proved."""

from dataclasses import dataclass

import numpy as np
import pandas as pd

from ..robustness_report import wilson_interval


@dataclass(frozen=True)
class CertificateReport:
    """Holds what `certify` has proved; `print` shows it as a table.

    An example is certified at an epsilon if the model classifies it correctly and no
    perturbation within epsilon and the bounds changes that. What is not certified may
    be robust all the same: the certified accuracy is a lower bound of the robust one,
    on these examples.

    Args:
        norm: "linf", "l2" or "l1".
        method: "ibp", "crown" or "alpha-crown".
        labels: Int array of shape `(examples,)`.
        correct: Bool array of shape `(examples,)`: what is classified correctly.
        margins: By epsilon, a float64 array of shape `(examples, classes)`: lower
            bounds, over the ball, of the logit of the label less that of each class,
            in exact arithmetic. It is infinite for the label itself.
        errors: By epsilon, an array of the same shape: by how much the margins that
            the model computes can be off by rounding. It is zero for the label.
        seconds: By epsilon, how long the bounds took.

    Attributes:
        clean_accuracy: The accuracy without perturbations.
        certified: By epsilon, a bool array of shape `(examples,)`.
        certified_accuracy: By epsilon, the share of all examples that is certified.
    """

    norm: str
    method: str
    labels: np.ndarray
    correct: np.ndarray
    margins: dict[float, np.ndarray]
    errors: dict[float, np.ndarray]
    seconds: dict[float, float]

    @property
    def clean_accuracy(self) -> float:
        return float(self.correct.mean())

    @property
    def certified(self) -> dict[float, np.ndarray]:
        return {
            epsilon: self.correct & (margins > self.errors[epsilon]).all(axis=1)
            for epsilon, margins in self.margins.items()
        }

    @property
    def certified_accuracy(self) -> dict[float, float]:
        return {
            epsilon: float(certified.mean())
            for epsilon, certified in self.certified.items()
        }

    def to_frame(self) -> pd.DataFrame:
        """Returns a row for every epsilon.

        Columns are `epsilon`, the `certified_accuracy` with its 95 % confidence
        interval from `low` to `high` (Wilson), how many examples are `certified`, the
        `median_margin`, the median over the examples of the least lower bound, the
        largest `rounding` error of a margin, and the `seconds`.
        """
        rows = []
        for epsilon, certified in self.certified.items():
            low, high = wilson_interval(int(certified.sum()), len(certified))
            rows.append(
                {
                    "epsilon": epsilon,
                    "certified_accuracy": float(certified.mean()),
                    "low": low,
                    "high": high,
                    "certified": int(certified.sum()),
                    "median_margin": float(
                        np.median(self.margins[epsilon].min(axis=1))
                    ),
                    "rounding": float(self.errors[epsilon].max()),
                    "seconds": self.seconds[epsilon],
                }
            )
        return pd.DataFrame(rows)

    def plot(self, figure=None):
        """Draws the certified accuracy against epsilon.

        Args:
            figure: Matplotlib figure to draw on. Defaults to `None`: a new one.

        Returns:
            The figure.
        """
        import matplotlib.pyplot as plt

        if figure is None:
            figure = plt.figure(figsize=(5.5, 4.2), layout="constrained")
        ax = figure.subplots()
        frame = self.to_frame()
        ax.fill_between(frame["epsilon"], frame["low"], frame["high"], alpha=0.2)
        ax.plot(frame["epsilon"], frame["certified_accuracy"], "o-", label=self.method)
        ax.axhline(self.clean_accuracy, color="k", lw=0.8, ls="--", label="clean")
        ax.set(
            xlabel=f"epsilon ({self.norm})",
            ylabel="certified accuracy",
            ylim=(-0.02, 1.02),
        )
        ax.legend(fontsize=8)
        return figure

    def __str__(self) -> str:
        frame = self.to_frame()
        table = pd.DataFrame(
            {
                "epsilon": frame["epsilon"],
                "certified": frame["certified_accuracy"].map(_percent),
                "95 % interval": [
                    f"{_percent(low)} - {_percent(high)}"
                    for low, high in zip(frame["low"], frame["high"], strict=True)
                ],
                "median margin": frame["median_margin"].map("{:.4g}".format),
                "rounding": frame["rounding"].map("{:.2g}".format),
            }
        )
        return (
            f"Certified in {self.norm} by {self.method}, of {len(self.labels):,} "
            f"examples ({frame['seconds'].sum():.0f} s); clean accuracy "
            f"{_percent(self.clean_accuracy)}\n{table.to_string(index=False)}"
        )


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
