"""What a check of gradients has found."""

import math
from dataclasses import dataclass

import pandas as pd

RIGHT, RIGHT_WITH_KINKS, SUSPICIOUS = 1e-7, 1e-4, 1e-2
VERDICTS = ("right", "suspicious", "wrong")


@dataclass(frozen=True)
class GradientReport:
    """Holds what `check_gradients` has found; `print` shows it as a table.

    The bands of a verdict are those of CS231n, "Gradient checks": a relative error
    below 1e-7 is right; up to 1e-4 it is right if the loss has kinks, as with ReLU,
    and suspicious if none were met; up to 1e-2 it is suspicious; above that, or where
    something is not finite, it is wrong. A variable of which no coordinate could be
    compared is suspicious.

    Args:
        rows: A dictionary for each variable, in the order of
            `model.trainable_variables`: its path `variable`, its `size`, how many
            coordinates were `checked`, how many more were left out at `kinks`, the
            largest relative `error` of those checked (NaN if there are none), and the
            `analytic` and `numeric` derivative where it occurred.

    Attributes:
        verdict: "right", "suspicious" or "wrong": the worst of all variables.
        error: The largest relative error of all variables.
        kinks: How many coordinates were left out at kinks.
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
        """Returns the rows with their `verdict`, as a table of pandas."""
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
