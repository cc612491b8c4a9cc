"""The results of `evaluate_robustness`."""

import os
from dataclasses import dataclass, field

import numpy as np
import pandas as pd

from ...utils.printable import Printable
from ...utils.report_files import load_report, save_report, stack
from ..certification.certificate_report import CertificateReport
from .robustness_plot import draw_report

EXAMPLES = ("x", "adversarial", "label", "predicted", "fooled")


@dataclass(frozen=True, repr=False)
class RobustnessReport(Printable):
    """Stores the results of `evaluate_robustness`; `print` shows them as a table.

    Each stage attacks only the examples that withstood all earlier stages. The accuracy
    reported for a stage is thus the accuracy after this stage and all earlier stages,
    and the accuracy after the last stage is the robust accuracy. The reported robust
    accuracy is only an upper bound, because other attacks might break more examples. A
    certified accuracy, if the evaluation computed one, is a lower bound.

    Args:
        rows: Tuple of dictionaries, one for each epsilon and stage, with these entries:

            - `epsilon` and `stage`,
            - `accuracy`: the fraction of examples that are still classified correctly,
            - `low` and `high`: the limits of the 95 % confidence interval (Wilson) for
              the accuracy,
            - `attacked`: the number of examples that the stage attacked,
            - `broken`: the number of examples that the stage broke,
            - `largest_perturbation`: the norm of the largest perturbation,
            - `non_finite`: the number of examples at which an objective or a gradient
              was not finite,
            - `seconds`: the running time,
            - `seed`: the random seed.
        warnings: List of messages, one for each suspicious finding.
        norm: "linf", "l2" or "l1".
        examples: Dictionary of the examples that `plot` shows. The entry `epsilon` is
            the largest epsilon of the evaluation. The other entries are arrays:

            - `x` and `adversarial`: the original and the adversarial inputs,
            - `label`: the true classes,
            - `predicted` and `fooled`: the predictions for the original and for the
              adversarial inputs.
        correct: Bool array of shape `(examples,)`: whether each example is classified
            correctly without an attack.
        robust: Dictionary that maps each epsilon to a bool array of shape
            `(examples,)`: whether each example withstood all attacks.
        data: Hexadecimal digest of the inputs and labels, by which `compare` recognizes
            the data.
        certificate: `CertificateReport` for the same examples and epsilons. Defaults to
            `None`: not computed.
        distances: Float64 array of shape `(examples,)`: upper bounds for the norm of
            the smallest perturbation of each example, as described in
            `PerturbationReport`. Defaults to `None`: not computed.
        settings: Dictionary of the settings of the attacks, by which `compare`
            recognizes whether two models were attacked alike: `steps`, `restarts`,
            `bounds` and `mask`, a description of the mask or `None`. Defaults to an
            empty dictionary: unknown.

    Attributes:
        clean_accuracy: The accuracy without an attack.
        robust_accuracy: A dictionary that maps each epsilon to the robust accuracy.
    """

    rows: tuple[dict, ...]
    warnings: list[str]
    norm: str
    examples: dict
    correct: np.ndarray
    robust: dict[float, np.ndarray]
    data: str
    certificate: CertificateReport | None = None
    distances: np.ndarray | None = None
    settings: dict = field(default_factory=dict)

    @property
    def clean_accuracy(self) -> float:
        return self.rows[0]["accuracy"]

    @property
    def robust_accuracy(self) -> dict[float, float]:
        return {row["epsilon"]: row["accuracy"] for row in self.rows}

    @property
    def certified_accuracy(self) -> dict[float, float] | None:
        """Maps each epsilon to the certified accuracy; `None` if not computed."""
        if self.certificate is None:
            return None
        return self.certificate.certified_accuracy

    @property
    def gap(self) -> dict[float, int] | None:
        """Maps each epsilon to the number of examples neither broken nor certified.

        The robustness of these examples is unknown. `None` if no certificates were
        computed.
        """
        if self.certificate is None:
            return None
        certified = self.certificate.certified
        return {
            epsilon: int((robust & ~certified[epsilon]).sum())
            for epsilon, robust in self.robust.items()
        }

    @property
    def median_distance(self) -> float | None:
        """The median of `distances`; `None` if they were not computed."""
        return None if self.distances is None else float(np.median(self.distances))

    def to_frame(self) -> pd.DataFrame:
        """Returns the rows as a pandas `DataFrame`."""
        return pd.DataFrame(list(self.rows))

    def plot(self, figure=None):
        """Plots the accuracy against epsilon, with a panel of examples.

        If the evaluation computed certificates, the plot also shows the certified
        accuracy, and the band between the certified and the robust accuracy.

        The panel shows the inputs, their changes and the adversarial inputs, with the
        predictions of the model. All changes have the same scale, in which red stands
        for an increase. Inputs that are not images are drawn as curves.

        Args:
            figure: Matplotlib figure for the plot. Defaults to `None`: a new figure.

        Returns:
            The figure.
        """
        return draw_report(self, figure)

    def save(self, path: str | os.PathLike) -> None:
        """Saves the report, including the results for each example.

        Args:
            path: File that ends in ".npz". An existing file is replaced.

        Raises:
            ValueError: If the path does not end in ".npz".
        """
        arrays = {
            "correct": self.correct,
            "robust": stack(self.robust),
            **{f"example_{name}": self.examples[name] for name in EXAMPLES},
        }
        if self.distances is not None:
            arrays["distances"] = self.distances
        facts = {
            "rows": self.rows,
            "warnings": self.warnings,
            "norm": self.norm,
            "epsilons": list(self.robust),
            "epsilon_of_examples": self.examples["epsilon"],
            "data": self.data,
            "settings": self.settings,
            "certificate": None,
        }
        if self.certificate is not None:
            facts["certificate"], certified = self.certificate.contents()
            arrays |= {f"certificate_{name}": some for name, some in certified.items()}
        save_report(path, type(self).__name__, facts, arrays)

    @classmethod
    def load(cls, path: str | os.PathLike) -> "RobustnessReport":
        """Loads a report that was saved with `save`.

        Args:
            path: File that ends in ".npz".

        Raises:
            ValueError: If the file contains something else.
        """
        facts, arrays = load_report(path, cls.__name__)
        examples = {name: arrays[f"example_{name}"] for name in EXAMPLES}
        certificate = facts["certificate"] and CertificateReport.from_contents(
            facts["certificate"],
            {
                name.removeprefix("certificate_"): some
                for name, some in arrays.items()
                if name.startswith("certificate_")
            },
        )
        return cls(
            tuple(facts["rows"]),
            facts["warnings"],
            facts["norm"],
            {"epsilon": facts["epsilon_of_examples"], **examples},
            arrays["correct"],
            dict(zip(facts["epsilons"], arrays["robust"], strict=True)),
            facts["data"],
            certificate,
            arrays.get("distances"),
            facts.get("settings", {}),  # older files have none
        )

    def __str__(self) -> str:
        frame = self.to_frame()
        columns = dict.fromkeys(frame["stage"])
        table = frame.pivot(index="epsilon", columns="stage", values="accuracy")
        table = table[list(columns)].map(_percent)
        last = frame.groupby("epsilon").last()
        intervals = [
            f"{_percent(low)} - {_percent(high)}"
            for low, high in zip(last["low"], last["high"], strict=True)
        ]
        table["95 % interval"] = intervals
        table["largest"] = last["largest_perturbation"].map("{:.4g}".format)
        seconds = frame["seconds"].sum()
        if self.certificate is not None:
            certified, gap = self.certificate.certified_accuracy, self.gap or {}
            table["certified"] = [_percent(certified[one]) for one in table.index]
            table["unknown"] = [f"{gap[one]:,}" for one in table.index]
            seconds += sum(self.certificate.seconds.values())
        lines = [
            f"Robustness in {self.norm}: accuracy after each stage, on "
            f"{len(self.correct):,} examples ({seconds:.0f} s, seed "
            f"{self.rows[0]['seed']})",
            table.reset_index().to_string(index=False),
        ]
        if self.distances is not None:
            lines.append(
                "Median norm of the smallest perturbations found: "
                f"{self.median_distance:.4g}"
            )
        return "\n".join([*lines, *(f"WARNING: {some}" for some in self.warnings)])


def _percent(share: float) -> str:
    return f"{100 * share:.2f}"
