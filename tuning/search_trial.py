"""A trial, and all that is known of it."""

import functools
import json
import math
import os

import numpy as np
from keras_tuner.engine import trial as kt
from keras_tuner.engine.hyperparameters import HyperParameter

from zoo.utils.files import replacing

from .hyperparameters import DrawnHyperParameters

RUNNING = kt.TrialStatus.RUNNING
STOPPED = kt.TrialStatus.STOPPED
COMPLETED = kt.TrialStatus.COMPLETED
FAILED = kt.TrialStatus.FAILED
# Two that KerasTuner does not know. Neither is a failure: both say something about
# the hyperparameters.
PRUNED = "PRUNED"
DIVERGED = "DIVERGED"


class SearchTrial(kt.Trial):
    """A set of values, and what came of it; one file holds it all.

    Attributes:
        number: Number of the trial, from 0.
        round: Number of its round, from 1.
        attempt: Number of draws that were thrown away, as earlier trials had them.
        sources: Where each value comes from, by name: "initial", "default", "full"
            (drawn from the full range) or "narrowed".
        executions: A dict for each execution or fold: `score`, `None` if it did not
            come to its end; `best`, the best value of the objective so far, and
            `best_epoch`; `history`, a list of an entry per epoch for each metric; and
            `seconds`.
        seconds: Duration of the trial.
        error: Why it failed or diverged, or was pruned, in a line; `None` otherwise.
            `message` holds the whole traceback.
    """

    def __init__(self, hyperparameters, trial_id=None, status=RUNNING, message=None):
        super().__init__(hyperparameters, trial_id, status, message)
        self.round = 1
        self.attempt = 0
        self.sources = {}
        self.begin(status)

    def begin(self, status: str = RUNNING) -> None:
        """Forgets what an interrupted run has left."""
        self.status = status
        self.score = self.error = self.message = None
        self.seconds = 0.0
        self.executions = []

    @property
    def number(self) -> int:
        return int(self.trial_id)

    @property
    def is_finished(self) -> bool:
        return self.status not in (RUNNING, STOPPED)

    def has(self, hp: HyperParameter) -> bool:
        """Whether the model of this trial has a hyperparameter."""
        values = self.hyperparameters.values.unrecorded()
        return hp.name in values and self.hyperparameters.is_active(hp)

    def forget_unasked(self) -> None:
        """Removes the values that nobody asked for: of layers that are not there."""
        self.hyperparameters.forget_unasked()
        kept = self.hyperparameters.values
        self.sources = {n: s for n, s in self.sources.items() if n in kept}

    @property
    def scores(self) -> list[float]:
        """Scores of the executions that have one."""
        scores = [execution["score"] for execution in self.executions]
        return [score for score in scores if score is not None]

    @property
    def score_std(self) -> float:
        """Standard deviation of the scores, NaN of one."""
        scores = self.scores
        return float(np.std(scores, ddof=1)) if len(scores) > 1 else math.nan

    @property
    def epochs(self) -> int:
        """Number of epochs that were trained, of all executions."""
        return sum(
            max(map(len, execution["history"].values()), default=0)
            for execution in self.executions
        )

    def get_state(self) -> dict:
        return {
            **super().get_state(),
            "round": self.round,
            "attempt": self.attempt,
            "sources": self.sources,
            "executions": self.executions,
            "seconds": self.seconds,
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
        self.executions = state["executions"]
        self.seconds = state["seconds"]
        self.error = state["error"]

    def save(self, fname: str | os.PathLike) -> None:
        with replacing(fname) as partial:
            partial.write_text(json.dumps(self.get_state()))


@functools.lru_cache(maxsize=64)
def _parsed(space: str) -> tuple[HyperParameter, ...]:
    """The hyperparameters of a configuration; most trials have the same."""
    config = {"space": json.loads(space), "values": {}}
    return tuple(DrawnHyperParameters.from_config(config).space)
