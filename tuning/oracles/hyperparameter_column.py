"""Values of one hyperparameter in the trials of a search."""

from dataclasses import dataclass, field
from itertools import compress

import numpy as np

from ..hyperparameters.probability import is_ordered


@dataclass
class HyperparameterColumn:
    """Values of a hyperparameter in the trials in which it is active.

    The trials are ordered by number.

    Attributes:
        numbers: Numbers of the trials.
        positions: Values converted to probabilities, or the values themselves if the
            hyperparameter is categorical.
        strata: Labels of the distributions from which the values were drawn.
        num_trials: Number of trials read so far, including those in which the
            hyperparameter is not active.
    """

    numbers: list[int] = field(default_factory=list)
    positions: list = field(default_factory=list)
    strata: list = field(default_factory=list)
    num_trials: int = 0

    def append(self, number: int, position, stratum) -> None:
        self.numbers.append(number)
        self.positions.append(position)
        self.strata.append(stratum)

    def up_to(self, number: int) -> "HyperparameterColumn":
        """Returns the part of the column with trial numbers less than `number`."""
        return self._where([each < number for each in self.numbers])

    def of(self, inside: np.ndarray) -> "HyperparameterColumn":
        """Returns the column, restricted to the trials that a boolean mask selects."""
        return self._where(inside[self.numbers].tolist())

    def outside(self, hp, new: tuple, num_trials: int) -> np.ndarray:
        """Returns a boolean mask of the trials whose value lies outside a range.

        Args:
            hp: Hyperparameter of this column.
            new: Range, in the same form as `Decision.new`.
            num_trials: Length of the mask. Trials in which the hyperparameter is not
                active do not count as outside.
        """
        outside = np.full(num_trials, False)
        if is_ordered(hp):
            positions = np.array(self.positions)
            outside[self.numbers] = (positions < new[0]) | (positions > new[1])
        else:
            outside[self.numbers] = [value not in new for value in self.positions]
        return outside

    def _where(self, mask: list[bool]) -> "HyperparameterColumn":
        lists = (self.numbers, self.positions, self.strata)
        numbers, positions, strata = (list(compress(each, mask)) for each in lists)
        return HyperparameterColumn(numbers, positions, strata)
