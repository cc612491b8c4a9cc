"""The results of an attack on a dataset."""

from dataclasses import dataclass

import numpy as np

from .search import is_better


@dataclass
class AttackResults:
    """Stores the results of an attack, with one entry per example.

    Args:
        adversarial: Float32 array with the shape of the inputs.
        broken: Bool array: whether the attack succeeded; also true for examples that
            were not attacked.
        objective: Float32 array: the best objective, or negative infinity for examples
            that were not attacked.
        non_finite: Bool array: whether any objective or gradient was not finite.
    """

    adversarial: np.ndarray
    broken: np.ndarray
    objective: np.ndarray
    non_finite: np.ndarray

    @classmethod
    def before_attack(cls, x: np.ndarray, rows: np.ndarray) -> "AttackResults":
        """Creates the initial results for a dataset that has not been attacked yet.

        Examples that are not attacked, such as misclassified examples, count as broken.

        Args:
            x: Float32 array of all inputs.
            rows: Indices of the examples to attack.
        """
        broken = np.ones(len(x), bool)
        broken[rows] = False
        return cls(
            adversarial=x.copy(),
            broken=broken,
            objective=np.full(len(x), -np.inf, "float32"),
            non_finite=np.zeros(len(x), bool),
        )

    def merge(self, rows: np.ndarray, broken, points, objective, is_finite) -> None:
        """Adds the results of finished searches, keeping the better point per example.

        Args:
            rows: Indices of the examples, without duplicates.
            broken: Bool array: whether each search succeeded.
            points: Float32 array: the best point of each search.
            objective: Float32 array: the objective at these points.
            is_finite: Bool array: whether all objectives and gradients were finite.
        """
        better = is_better(broken, objective, self.objective[rows])
        self.adversarial[rows[better]] = points[better]
        self.objective[rows[better]] = objective[better]
        self.broken[rows] |= broken
        self.non_finite[rows] |= ~is_finite
