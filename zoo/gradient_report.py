"""The report of a gradient check."""

import math
from dataclasses import dataclass

import pandas as pd

RIGHT, RIGHT_WITH_KINKS, SUSPICIOUS = 1e-7, 1e-4, 1e-2
VERDICTS = ("right", "suspicious", "wrong")


@dataclass(frozen=True)
class GradientReport:
    """Holds the result of `check_gradients`; `print` shows it as a table.

    The verdict on each variable uses the thresholds of CS231n, "Gradient checks":

    - "right": a relative error below 1e-7; or below 1e-4 if the check met kinks, such
      as those of ReLU;
    - "suspicious": any other relative error below 1e-2, or no coordinate that could
      be compared;
    - "wrong": a larger relative error, or a derivative that is not finite.

    Args:
        rows: One dictionary per variable, in the order of
            `model.trainable_variables`: its path `variable`, its `size`, the number
            of coordinates `checked`, the number excluded at `kinks`, the largest
            relative `error` of those checked (NaN if there are none), and the
            `analytic` and `numeric` derivative at that coordinate.

    Attributes:
        verdict: "right", "suspicious" or "wrong": the worst of all variables.
        error: Largest relative error of all variables; 0.0 if none was checked.
        kinks: Number of coordinates excluded at kinks.
    """

    rows: tuple[dict, ...]

    @property
    def verdict(self) -> str:
        return max(map(self._verdict_of, self.rows), key=VERDICTS.index)

    @property
    def error(self) -> float:
        return max((row["error"] for row in self.rows if row["checked"]), default=0.0)

    @property
    def kinks(self) -> int:
        return sum(row["kinks"] for row in self.rows)

    def to_frame(self) -> pd.DataFrame:
        """Returns the rows with their `verdict` as a `pandas.DataFrame`."""
        return pd.DataFrame(
            [{**row, "verdict": self._verdict_of(row)} for row in self.rows]
        )

    def __str__(self) -> str:
        checked = sum(row["checked"] for row in self.rows)
        table = self.to_frame().to_string(index=False, float_format="{:.3e}".format)
        return (
            f"Gradients: {self.verdict}. Largest relative error {self.error:.1e} at "
            f"{checked} coordinates; {self.kinks} more at kinks, left out.\n{table}"
        )

    def _verdict_of(self, row: dict) -> str:
        if math.isnan(row["error"]):
            return "suspicious"
        if row["error"] < (RIGHT_WITH_KINKS if self.kinks else RIGHT):
            return "right"
        return "suspicious" if row["error"] < SUSPICIOUS else "wrong"
