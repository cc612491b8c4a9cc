"""Runs a trial in a worker."""

import functools
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..oracles.search_oracle import SearchOracle
from ..time_budget import TimeBudget
from ..training.checkpoints import Checkpoints
from ..training.garbage_collection import GarbageCollection
from ..training.median_rule import MedianRule
from ..training.trial_outcome import run_recorded
from ..training.trial_runner import TrialRunner
from ..training.trial_saves import TrialSaves
from ..trials.search_trial import SearchTrial
from .parcel import unpacked
from .sent_search import SentSearch, apply_keras_settings


@dataclass(frozen=True)
class TrialTask:
    """Trial to run, and what the driver knows when the trial starts.

    Attributes:
        state: State of the trial.
        oracle: Oracle without trials. It draws the values of hyperparameters that the
            model declares for the first time.
        seconds_left: Remaining seconds of the time budget; `None` for no limit.
        score_to_beat: Score above which the weights are sent to the driver; `None` to
            send them in any case.
        rules: Median rules of the executions.
    """

    state: dict[str, Any]
    oracle: SearchOracle
    seconds_left: float | None
    score_to_beat: float | None
    rules: dict[int, MedianRule]


@dataclass(frozen=True)
class TrialReport:
    """Outcome of a trial that has run in a worker.

    Attributes:
        state: State of the trial. It is unfinished if the time budget was used up.
        asked: Names of the hyperparameters that the model has read.
        files: Contents of the files with the weights, by name.
        worker: Name of the worker.
    """

    state: dict[str, Any]
    asked: tuple[str, ...]
    files: dict[str, bytes] = field(repr=False)
    worker: str | None = None


def run_trial(path: Path, task: TrialTask) -> TrialReport:
    """Runs a trial in this process, which must be a worker.

    Args:
        path: File with the packed search.
        task: Trial to run.

    Raises:
        FatalError: If the trial raises a `FatalError`, which ends the whole search.
    """
    sent, garbage = _unpacked_once(path)
    search: Any = object.__new__(sent.cls)
    vars(search).update(sent.attributes, oracle=task.oracle)
    trial = SearchTrial.from_state(task.state)
    task.oracle.book.add(trial)
    task.oracle.prepare(trial)
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(Path(folder), search.checkpoints)
        vars(search)["_runner"] = runner = TrialRunner(
            search,
            checkpoints,
            garbage,
            sent.folds,
            TrialSaves(sent.folder) if search.resume_trials else None,
            prune=search.prune,
            is_out_of_time=TimeBudget(task.seconds_left, 0.0).is_used_up,
            score_to_beat=lambda: task.score_to_beat,
            verbose=sent.verbose,
        )
        runner.rules = task.rules
        run_recorded(search, trial, sent.args, sent.kwargs)
        return TrialReport(
            trial.get_state(),
            tuple(trial.hyperparameters.asked),
            checkpoints.read(trial) if trial.is_finished else {},
        )


@functools.lru_cache(maxsize=1)
def _unpacked_once(path: Path) -> tuple[SentSearch, GarbageCollection]:
    """Reads the search only for the first trial of this process."""
    sent = unpacked(path)
    apply_keras_settings(sent)
    return sent, GarbageCollection().__enter__()  # until the process ends
