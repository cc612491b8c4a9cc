"""The results of `certify`."""

import os
from dataclasses import dataclass

import numpy as np
import pandas as pd

from ...utils.confidence_intervals import wilson_interval
from ...utils.printable import Printable
from ...utils.report_files import load_report, save_report, stack


@dataclass(frozen=True, repr=False)
class CertificateReport(Printable):
    """Stores the results of `certify`; `print` shows them as a table.

    An example is certified at an epsilon if it is classified correctly, and if no
    perturbation within epsilon and the bounds changes the prediction. Examples that are
    not certified may still be robust, so the certified accuracy is a lower bound for
    the robust accuracy on the same examples.

    Args:
        norm: "linf", "l2" or "l1".
        method: "ibp", "crown" or "alpha-crown".
        labels: Int array of shape `(examples,)`.
        correct: Bool array of shape `(examples,)`: whether each example is classified
            correctly.
        margins: Dictionary that maps each epsilon to a float64 array of shape
            `(examples, classes)`: lower bounds, over the ball and in exact arithmetic,
            for the logit of the label minus the logit of each class. The entry of the
            label itself is infinite.
        errors: Dictionary that maps each epsilon to an array of the same shape: upper
            bounds for the rounding errors of the margins that the model computes. The
            entry of the label itself is zero.
        seconds: Dictionary that maps each epsilon to the running time.

    Attributes:
        clean_accuracy: The accuracy without perturbations.
        certified: A dictionary that maps each epsilon to a bool array of shape
            `(examples,)`.
        certified_accuracy: A dictionary that maps each epsilon to the fraction of
            examples that are certified.
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
        """Returns a pandas `DataFrame` with one row per epsilon.

        The columns are `epsilon`; the `certified_accuracy`, with its 95 % confidence
        interval (Wilson) from `low` to `high`; the number of `certified` examples;
        `median_margin`, the median over all examples of the smallest lower bound; the
        largest `rounding` error of a margin; and the running time in `seconds`.
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
        """Plots the certified accuracy against epsilon.

        Args:
            figure: Matplotlib figure for the plot. Defaults to `None`: a new figure.

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

    def save(self, path: str | os.PathLike) -> None:
        """Saves the report, including the results for each example.

        Args:
            path: File that ends in ".npz". An existing file is replaced.

        Raises:
            ValueError: If the path does not end in ".npz".
        """
        save_report(path, type(self).__name__, *self.contents())

    @classmethod
    def load(cls, path: str | os.PathLike) -> "CertificateReport":
        """Loads a report that was saved with `save`.

        Args:
            path: File that ends in ".npz".

        Raises:
            ValueError: If the file contains something else.
        """
        return cls.from_contents(*load_report(path, cls.__name__))

    def contents(self) -> tuple[dict, dict[str, np.ndarray]]:
        """Returns the contents of the report as a JSON dict and a dict of arrays."""
        facts = {
            "norm": self.norm,
            "method": self.method,
            "epsilons": list(self.margins),
            "seconds": list(self.seconds.values()),
        }
        arrays = {
            "labels": self.labels,
            "correct": self.correct,
            "margins": stack(self.margins),
            "errors": stack(self.errors),
        }
        return facts, arrays

    @classmethod
    def from_contents(cls, facts: dict, arrays: dict) -> "CertificateReport":
        """Creates a report from the results of `contents`."""
        epsilons = facts["epsilons"]
        margins, errors, seconds = (
            dict(zip(epsilons, values, strict=True))
            for values in (arrays["margins"], arrays["errors"], facts["seconds"])
        )
        return cls(
            facts["norm"],
            facts["method"],
            arrays["labels"],
            arrays["correct"],
            margins,
            errors,
            seconds,
        )

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
            f"Certified accuracy in {self.norm} by {self.method}, on "
            f"{len(self.labels):,} examples ({frame['seconds'].sum():.0f} s); clean "
            f"accuracy {_percent(self.clean_accuracy)}\n{table.to_string(index=False)}"
        )


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
