"""Counters of steps and updates, maintained by the training step."""

from typing import Any, NamedTuple


class StepCounters(NamedTuple):
    """Counts steps and updates.

    The counters are integers or, inside a compiled step, tensors.

    Attributes:
        step: Step number; -1 before the first step.
        number: Number of previous steps that updated the weights.
        row: Number of recorded updates.
        has_updated: 1 if the current step has already updated the weights, else 0.
    """

    step: Any = -1
    number: Any = 0
    row: Any = 0
    has_updated: Any = 0

    def next_step(self) -> "StepCounters":
        """Returns the counters at the beginning of the next step."""
        number = self.number + self.has_updated
        return StepCounters(self.step + 1, number, self.row, 0 * self.has_updated)

    @classmethod
    def before(cls, step, row) -> "StepCounters":
        """Returns the counters as they are just before step number `step`.

        All previous steps are assumed to have updated the weights.
        """
        return cls(step - 1, step, row, 0 * step)
