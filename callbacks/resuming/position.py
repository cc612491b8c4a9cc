"""How far a training has come."""

from dataclasses import dataclass


@dataclass
class Position:
    """Where a training is.

    Attributes:
        epoch: Number of the epoch, from 0.
        batch: Number of the next batch in it.
        steps: Steps of all epochs before it.
        is_within: Whether the epoch has begun, and its callbacks have been called.
        is_stopped: Whether the training has been stopped before its last epoch.
        is_finished: Whether nothing is left to do.
    """

    epoch: int = 0
    batch: int = 0
    steps: int = 0
    is_within: bool = False
    is_stopped: bool = False
    is_finished: bool = False

    @property
    def all_steps(self) -> int:
        """Number of steps that have been trained."""
        return self.steps + self.batch

    def begin_epoch(self, epoch: int) -> None:
        """Says that an epoch is next, and has not begun."""
        self.epoch, self.batch, self.is_within = epoch, 0, False

    def end_epoch(self, steps_per_execution: int, steps: int | None) -> None:
        """Counts the steps of the epoch, of which the last call has been trained.

        Args:
            steps_per_execution: Steps of a call.
            steps: Steps of an epoch, or `None` if that is not known.
        """
        done = self.batch + steps_per_execution
        self.steps += done if steps is None else min(done, steps)
        self.batch = 0

    def __str__(self) -> str:
        where = f", step {self.batch}" if self.is_within else ""
        return f"epoch {self.epoch + 1}{where}"
