"""Record of one training run of a trial."""

import math
from dataclasses import dataclass, field


@dataclass
class ExecutionRecord:
    """Stores the result of the training run of one execution or fold.

    Attributes:
        score: Score of the run; `None` if the run ended without a score.
        best: Best value of the objective; `None` if no epoch has a finite value.
        best_epoch: Epoch of `best`, counted from 0.
        history: Dict that maps each metric to a list with one value per epoch.
        seconds: Duration of the run.
    """

    score: float | None
    best: float | None
    best_epoch: int = 0
    history: dict[str, list[float]] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def epochs(self) -> int:
        """Number of training epochs."""
        return max(map(len, self.history.values()), default=0)

    def at_best(self, name: str) -> float:
        """Returns the value of a metric in the best epoch, or NaN if it is missing."""
        curve = self.history.get(name, [math.nan])
        return curve[min(self.best_epoch, len(curve) - 1)]
