"""Report returned by a gradient check."""

import math
from dataclasses import dataclass

import pandas as pd

from .utils.printable import Printable

RIGHT, RIGHT_WITH_KINKS, SUSPICIOUS = 1e-7, 1e-4, 1e-2
SHOWN = 20  # variables in the text
VERDICTS = ("right", "suspicious", "wrong")


@dataclass(frozen=True, repr=False)
class GradientReport(Printable):
    """Contains the result of `check_gradients`.

    Printing the report displays it as a table.

    The verdict on each variable is based on the thresholds of CS231n, "Gradient
    checks":

    - "right": The relative error is below 1e-7, or below 1e-4 if the check found kinks
      (for example, because of ReLU) in any variable.
    - "suspicious": The relative error is higher than for "right", but below 1e-2, or
      all sampled coordinates of the variable are at kinks.
    - "wrong": The relative error is at least 1e-2, or a derivative is not finite.

    Args:
        rows: One dictionary per variable, in the order of
            `model.trainable_variables`, with these keys:

            - `variable`: path of the variable;
            - `size`: number of coordinates of the variable;
            - `checked`: number of coordinates whose derivatives were compared;
            - `kinks`: number of coordinates that were excluded because of kinks;
            - `error`: largest relative error, or NaN if no coordinate was compared;
            - `analytic` and `numeric`: the two derivatives at the coordinate with the
              largest relative error, or NaN if no coordinate was compared.

    Attributes:
        verdict: The worst verdict on any variable: "right", "suspicious" or "wrong".
        error: Largest relative error over all variables, or 0.0 if no coordinate was
            compared.
        kinks: Total number of coordinates that were excluded because of kinks.
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
        """Returns the rows, with the additional column `verdict`, as a data frame."""
        return pd.DataFrame(
            [{**row, "verdict": self._verdict_of(row)} for row in self.rows]
        )

    def __str__(self) -> str:
        checked = sum(row["checked"] for row in self.rows)
        frame = self.to_frame()
        text = (
            f"Gradients: {self.verdict}. Largest relative error {self.error:.1e} at "
            f"{checked} coordinates; {self.kinks} more at kinks, left out."
        )
        if len(frame) > SHOWN:
            worst = frame.sort_values("error", ascending=False, na_position="first")
            frame = worst.head(SHOWN).sort_index()
            text += f" The {SHOWN} worst of {len(self.rows)} variables:"
        table = frame.to_string(index=False, float_format="{:.3e}".format)
        return f"{text}\n{table}"

    def _verdict_of(self, row: dict) -> str:
        if math.isnan(row["error"]):
            return "suspicious"
        if row["error"] < (RIGHT_WITH_KINKS if self.kinks else RIGHT):
            return "right"
        return "suspicious" if row["error"] < SUSPICIOUS else "wrong"
