"""The progress of a training run."""

from dataclasses import dataclass


@dataclass
class Position:
    """Describes how far a training run has come.

    Attributes:
        epoch: Current epoch, counted from 0.
        batch: Index of the next batch in this epoch.
        steps: Number of steps in all earlier epochs.
        is_within: Whether the epoch has begun, and its callbacks have been called.
        is_stopped: Whether training was stopped before the last epoch.
        is_finished: Whether training has ended.
    """

    epoch: int = 0
    batch: int = 0
    steps: int = 0
    is_within: bool = False
    is_stopped: bool = False
    is_finished: bool = False

    @property
    def all_steps(self) -> int:
        """Number of steps so far."""
        return self.steps + self.batch

    @property
    def state(self) -> str:
        """The rest of a sentence that says how far training has come."""
        return (
            f"ended after epoch {self.epoch}" if self.is_finished else f"is at {self}"
        )

    def begin_epoch(self, epoch: int) -> None:
        """Moves to the beginning of an epoch."""
        self.epoch, self.batch, self.is_within = epoch, 0, False

    def end_epoch(self, steps_per_execution: int, steps: int | None) -> None:
        """Counts the steps of the epoch after its last batch.

        Args:
            steps_per_execution: Number of steps in one call to the train function.
            steps: Number of steps in an epoch, or `None` if it is unknown.
        """
        done = self.batch + steps_per_execution
        self.steps += done if steps is None else min(done, steps)
        self.batch = 0

    def __str__(self) -> str:
        where = f", step {self.batch}" if self.is_within else ""
        return f"epoch {self.epoch + 1}{where}"
