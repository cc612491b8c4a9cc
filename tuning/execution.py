"""One training of a trial: its curves, its best weights, and its early end."""

import math
import time
from collections.abc import Callable

import keras
import numpy as np
from keras_tuner import errors

from zoo.utils.arguments import invalid_argument

from .search_trial import DIVERGED

LOSSES = ("loss", "val_loss")


class TrialEnd(Exception):
    """A trial has come to an end that is no failure; `None` if it is to be repeated."""

    def __init__(self, status: str | None, reason: str):
        super().__init__(reason)
        self.status = status


class Execution(keras.callbacks.Callback):
    """Records a training, and ends it where going on would be a waste.

    Args:
        objective: `keras_tuner.Objective`.
        is_hopeless: Function of the epoch and the best value so far, or `None`.
        is_out_of_time: Function that says whether the time is used up.
        must_be_logged: Whether an epoch without the objective is an error.

    Attributes:
        history: The metrics of every epoch, a list for each, by name.
        best: Best value of the objective, or `None`.
        best_epoch: Its epoch, counted from 0.
        best_weights: The weights of that epoch.
        diverged: What was not finite, in words, or `None`.
        was_pruned: Why the training was hopeless, in words, or `None`.
        was_interrupted: Whether the time was used up.
    """

    def __init__(
        self,
        objective,
        is_hopeless: Callable[[int, float], str | None] | None,
        is_out_of_time: Callable[[], bool],
        *,
        must_be_logged: bool,
    ):
        super().__init__()
        self.must_be_logged = must_be_logged
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

    def on_epoch_end(self, epoch, logs=None):
        logs = {name: float(value) for name, value in (logs or {}).items()}
        self._append(logs)
        values = {name: logs[name] for name in LOSSES if name in logs}
        if self.must_be_logged and not self.objective.has_value(logs):
            raise missing_objective(self.objective.name, logs)
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
        self.was_interrupted = self.is_out_of_time() and not is_last
        if self.diverged or self.was_pruned or self.was_interrupted:
            self.model.stop_training = True

    def record(self, score: float | None) -> dict:
        """Returns what is kept of the training."""
        return {
            "score": score,
            "best": self.best,
            "best_epoch": self.best_epoch,
            "history": self.history,
            "seconds": time.monotonic() - self._began,
        }

    def _append(self, logs: dict) -> None:
        """Adds an epoch; where it lacks a metric, as some do, there is a NaN."""
        for name in {**self.history, **logs}:
            curve = self.history.setdefault(name, [math.nan] * self.num_epochs)
            curve.append(logs.get(name, math.nan))
        self.num_epochs += 1

    def _is_best(self, value: float) -> bool:
        return self.best is None or self.objective.better_than(value, self.best)


def missing_objective(name: str, logs) -> errors.FatalValueError:
    """Builds the error for an objective that is not in the logs."""
    listed = ", ".join(repr(each) for each in logs)
    is_validation = name.startswith("val_") and "'val_" not in listed
    fix = "Pass `validation_data` to `search`." if is_validation else ""
    expected = f"the name of a metric in the logs: {listed}"
    return errors.FatalValueError(
        str(invalid_argument("objective", expected, name, fix))
    )


def objective_value(result, objective) -> float:
    """The objective in what KerasTuner allows to be returned."""
    if isinstance(result, keras.callbacks.History):
        # Without our callback among those of `fit`, there is only this.
        epochs = zip(*result.history.values(), strict=True)
        logs = [dict(zip(result.history, values, strict=True)) for values in epochs]
        if not logs or not objective.has_value(logs[0]):
            raise missing_objective(objective.name, result.history)
        values = [objective.get_value(each) for each in logs]
        value = max(values) if objective.direction == "max" else min(values)
    elif isinstance(result, dict):
        if not objective.has_value(result):
            raise missing_objective(objective.name, result)
        value = objective.get_value(result)
    elif isinstance(result, int | float | np.floating):
        value = result
    else:
        raise errors.FatalTypeError(
            "Expected a number, a dict of metrics or a History from `fit` of the "
            f"hypermodel, or a list of these from `run_trial`. Received: {result!r}"
        )
    if not math.isfinite(value):
        raise TrialEnd(DIVERGED, f"{objective.name} is {value}")
    return float(value)
