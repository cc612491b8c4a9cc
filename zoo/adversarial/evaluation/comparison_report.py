"""The results of `compare`."""

from dataclasses import dataclass

import pandas as pd

from ...utils.printable import Printable


@dataclass(frozen=True, repr=False)
class ComparisonReport(Printable):
    """Stores the results of `compare`; `print` shows them as a table.

    Args:
        rows: Tuple of dictionaries, one for each measure and epsilon, with these
            entries:

            - `measure`: "robust" or "certified",
            - `epsilon`,
            - `first` and `second`: the accuracies of the two models,
            - `difference`: the second accuracy minus the first,
            - `low` and `high`: the limits of its 95 % confidence interval (Newcombe,
              1998, method 10),
            - `only_first` and `only_second`: the numbers of examples that count only
              for one of the models,
            - `p_value`: of the exact McNemar test for a difference.
        norm: "linf", "l2" or "l1".
        examples: Number of examples.
        warnings: List of messages, one for each difference between the attacks.
    """

    rows: tuple[dict, ...]
    norm: str
    examples: int
    warnings: list[str]

    def to_frame(self) -> pd.DataFrame:
        """Returns the rows as a pandas `DataFrame`."""
        return pd.DataFrame(list(self.rows))

    def __str__(self) -> str:
        table = pd.DataFrame(
            {
                "measure": row["measure"],
                "epsilon": row["epsilon"],
                "first": f"{100 * row['first']:.2f}",
                "second": f"{100 * row['second']:.2f}",
                "difference": f"{100 * row['difference']:+.2f}",
                "95 % interval": f"{100 * row['low']:+.2f} to {100 * row['high']:+.2f}",
                "p value": f"{row['p_value']:.2g}",
            }
            for row in self.rows
        )
        lines = [
            f"Accuracies of two models in {self.norm}, on the same {self.examples:,} "
            "examples",
            table.to_string(index=False),
        ]
        return "\n".join([*lines, *(f"WARNING: {some}" for some in self.warnings)])
