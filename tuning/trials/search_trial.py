"""Trial of a search, with its values and its outcome."""

import dataclasses
import functools
import json
import math
import os
from collections.abc import Container
from typing import Any

import numpy as np
from keras_tuner.engine.hyperparameters import HyperParameter
from keras_tuner.engine.trial import Trial, TrialStatus

from zoo.utils.files import replacing

from ..hyperparameters.drawn_hyperparameters import DrawnHyperParameters
from ..hyperparameters.probability import is_constant
from .execution_record import ExecutionRecord

RUNNING = TrialStatus.RUNNING
STOPPED = TrialStatus.STOPPED
COMPLETED = TrialStatus.COMPLETED
FAILED = TrialStatus.FAILED
# KerasTuner does not have these statuses. Neither counts as a failure, because both
# are caused by the values of the hyperparameters.
PRUNED = "PRUNED"
DIVERGED = "DIVERGED"


class SearchTrial(Trial):
    """Values and outcome of a trial, which are stored in one file.

    Attributes:
        number: Number of the trial, counted from 0.
        round: Number of the round of the trial, counted from 1.
        attempt: Number of draws that were rejected because earlier trials had the same
            values.
        sources: Dict that maps the name of each hyperparameter to the source of its
            value: "initial", "default", "full" (drawn from the full range) or
            "narrowed" (drawn from the narrowed range).
        executions: List with an `ExecutionRecord` for each execution or fold.
        seconds: Duration of the trial.
        elapsed: Total seconds that the search had taken when the trial ended, over all
            calls to `search`.
        worker: Name of the worker that runs the trial; `None` without workers.
        error: One-line reason why the trial failed, diverged or was pruned; `None`
            otherwise.
        message: Complete traceback if the trial failed; `None` otherwise.
    """

    score: Any  # a float, or None if there is none yet
    message: str | None

    def __init__(self, hyperparameters, trial_id=None, status=RUNNING, message=None):
        super().__init__(hyperparameters, trial_id, status, message)
        self.round = 1
        self.attempt = 0
        self.sources = {}
        self.begin(status)

    def begin(self, status: str = RUNNING) -> None:
        """Resets the outcome, which an interrupted run may have partially set."""
        self.status = status
        self.score = self.message = None
        self.error: str | None = None
        self.seconds = self.elapsed = 0.0
        self.worker: str | None = None
        self.executions: list[ExecutionRecord] = []

    @property
    def number(self) -> int:
        return int(self.trial_id)

    @property
    def is_finished(self) -> bool:
        return self.status not in (RUNNING, STOPPED)

    def has(self, hp: HyperParameter) -> bool:
        """Returns whether a hyperparameter is active in this trial and has a value."""
        values = self.hyperparameters.values.unrecorded()
        return hp.name in values and self.hyperparameters.is_active(hp)

    def values_text(self) -> str:
        """Returns the tuned hyperparameters as text, such as "units=64, x=0.5"."""
        values = self.hyperparameters.values.unrecorded()
        tuned = {
            hp.name: values[hp.name]
            for hp in self.hyperparameters.space
            if self.has(hp) and not is_constant(hp)
        }
        return ", ".join(
            f"{name}={value:.4g}" if isinstance(value, float) else f"{name}={value}"
            for name, value in tuned.items()
        )

    def forget_unasked(self, known: Container[str]) -> None:
        """Removes values that `build` did not read.

        For example, `units_3` is removed if the model has two layers. If the trial
        failed, perhaps before `build` had read all values, values of known
        hyperparameters are kept. If `build` read no value, all values are kept.

        Args:
            known: Names of the hyperparameters that were known when the round began.
        """
        if self.status == FAILED:
            self.hyperparameters.forget_unasked(kept=known)
        elif self.hyperparameters.asked:
            self.hyperparameters.forget_unasked()
        kept = self.hyperparameters.values
        self.sources = {n: s for n, s in self.sources.items() if n in kept}

    @property
    def scores(self) -> list[float]:
        """Scores of the executions that ended with a score."""
        scores = [execution.score for execution in self.executions]
        return [score for score in scores if score is not None]

    @property
    def score_std(self) -> float:
        """Standard deviation of the scores, or NaN if there are fewer than two."""
        scores = self.scores
        return float(np.std(scores, ddof=1)) if len(scores) > 1 else math.nan

    @property
    def epochs(self) -> int:
        """Total number of training epochs over all executions."""
        return sum(execution.epochs for execution in self.executions)

    def get_state(self) -> dict:
        return {
            **super().get_state(),
            "round": self.round,
            "attempt": self.attempt,
            "sources": self.sources,
            "executions": [dataclasses.asdict(each) for each in self.executions],
            "seconds": self.seconds,
            "elapsed": self.elapsed,
            "error": self.error,
        }

    def set_state(self, state: dict) -> None:
        hyperparameters = state["hyperparameters"]
        super().set_state({**state, "hyperparameters": {"space": [], "values": {}}})
        space = _parsed(json.dumps(hyperparameters["space"]))
        self.hyperparameters = DrawnHyperParameters.of(space, hyperparameters["values"])
        self.round = state["round"]
        self.attempt = state["attempt"]
        self.sources = state["sources"]
        self.executions = [ExecutionRecord(**each) for each in state["executions"]]
        self.seconds = state["seconds"]
        # Earlier versions did not store the elapsed time.
        self.elapsed = state.get("elapsed", 0.0)
        self.error = state["error"]

    def save(self, fname: str | os.PathLike) -> None:
        with replacing(fname) as partial:
            partial.write_text(json.dumps(self.get_state()))


@functools.lru_cache(maxsize=64)
def _parsed(space: str) -> tuple[HyperParameter, ...]:
    """Parses a search space; cached, because most trials share the same space."""
    config = {"space": json.loads(space), "values": {}}
    return tuple(DrawnHyperParameters.from_config(config).space)
