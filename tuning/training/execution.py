"""Callback that records one training run of a trial and can stop it early."""

import math
import time
from collections.abc import Callable

import keras

from zoo.utils.saved_attributes import SavedAttributes

from ..trials.execution_record import ExecutionRecord
from ..trials.search_trial import DIVERGED, PRUNED
from .objective_value import missing_objective, objective_value
from .trial_end import TrialEnd

LOSSES = ("loss", "val_loss")


class Execution(SavedAttributes, keras.callbacks.Callback):
    """Records a training run, and stops it early if necessary.

    A run is stopped if it diverges, is pruned or runs out of time.

    Args:
        objective: `keras_tuner.Objective`.
        is_hopeless: Function that receives the epoch, counted from 0, and the best
            value so far. It returns the reason to prune the run, or `None` to continue.
            Pass `None` instead of a function to disable pruning.
        is_out_of_time: Function that returns whether the time budget is used up.
        must_be_logged: Whether to raise an error if an epoch does not log the
            objective.
        is_saved: Whether the run is saved and can be resumed. If it runs out of time,
            it then ends with a `TrialEnd` at the beginning of the next epoch, instead
            of ending like a complete run.

    Attributes:
        history: Dict that maps each metric to a list with one value per epoch.
        num_epochs: Number of epochs so far.
        best: Best finite value of the objective; `None` if there is none yet.
        best_epoch: Epoch of `best`, counted from 0.
        best_weights: Weights at the end of the best epoch.
        diverged: Message about a value that is not finite; `None` if all values are
            finite.
        was_pruned: Reason why the run was pruned; `None` if it was not.
        was_interrupted: Whether the run was stopped because the time budget is used up.
    """

    saved_attributes = (
        "history",
        "num_epochs",
        "best",
        "best_epoch",
        "best_weights",
        "diverged",
        "was_pruned",
    )

    def __init__(
        self,
        objective,
        is_hopeless: Callable[[int, float], str | None] | None,
        is_out_of_time: Callable[[], bool],
        *,
        must_be_logged: bool,
        is_saved: bool = False,
    ):
        super().__init__()
        self.must_be_logged = must_be_logged
        self.is_saved = is_saved
        self.objective = objective
        self.is_hopeless = is_hopeless
        self.is_out_of_time = is_out_of_time
        self.history: dict[str, list[float]] = {}
        self.num_epochs = 0
        self.best = self.best_weights = None
        self.best_epoch = 0
        self.diverged = self.was_pruned = None
        self.was_interrupted = False
        self._began = time.monotonic()

    def on_epoch_begin(self, epoch, logs=None):
        # `ResumeTraining` has just saved the previous epoch.
        if self.is_saved and self.is_out_of_time():
            raise self._out_of_time()

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in (logs or {}).items()}
        self._append(logs)
        values = {name: logs[name] for name in LOSSES if name in logs}
        if self.must_be_logged and not self.objective.has_value(logs):
            raise missing_objective(self.objective, logs)
        if self.objective.has_value(logs):
            values[self.objective.name] = value = self.objective.get_value(logs)
            if math.isfinite(value) and self._is_best(value):
                self.best, self.best_epoch = value, self.num_epochs - 1
                self.best_weights = self.model.get_weights()
        self.diverged = next(
            (
                f"{name} is {value} in epoch {self.num_epochs}"
                for name, value in values.items()
                if not math.isfinite(value)
            ),
            None,
        )
        if self.is_hopeless is not None and self.best is not None:
            self.was_pruned = self.is_hopeless(self.num_epochs - 1, self.best)
        is_last = self.num_epochs >= (self.params.get("epochs") or 0)
        if not self.is_saved:
            self.was_interrupted = self.is_out_of_time() and not is_last
        if self.diverged or self.was_pruned or self.was_interrupted:
            self.model.stop_training = True

    def get_state(self) -> dict:
        """Returns the record so far, for `ResumeTraining`."""
        seconds = time.monotonic() - self._began
        return super().get_state() | {"seconds": seconds}

    def set_state(self, state: dict) -> None:
        """Restores a result of `get_state()`."""
        super().set_state(state)
        self._began = time.monotonic() - state["seconds"]

    def score(self, result) -> float:
        """Returns the score of the training run.

        Args:
            result: Return value of the hypermodel's `fit`.

        Raises:
            TrialEnd: If the run diverged, was pruned or ran out of time.
        """
        if self.diverged:
            raise TrialEnd(DIVERGED, self.diverged)
        if self.was_pruned:
            raise TrialEnd(PRUNED, self.was_pruned)
        if self.was_interrupted:
            raise self._out_of_time()
        if isinstance(result, keras.callbacks.History) and self.best is not None:
            return self.best
        return objective_value(result, self.objective)

    def record(self, score: float | None) -> ExecutionRecord:
        """Returns the record of the training run.

        Args:
            score: Score of the run; `None` if the run ended without a score.
        """
        return ExecutionRecord(
            score=score,
            best=self.best,
            best_epoch=self.best_epoch,
            history=self.history,
            seconds=time.monotonic() - self._began,
        )

    def _out_of_time(self) -> TrialEnd:
        return TrialEnd(None, "the time budget is used up")

    def _append(self, logs: dict) -> None:
        """Adds an epoch to the history, and fills in NaN for missing metrics."""
        for name in {**self.history, **logs}:
            curve = self.history.setdefault(name, [math.nan] * self.num_epochs)
            curve.append(logs.get(name, math.nan))
        self.num_epochs += 1

    def _is_best(self, value: float) -> bool:
        return self.best is None or self.objective.better_than(value, self.best)
