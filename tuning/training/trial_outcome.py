"""Outcome of a trial: status, score and metrics."""

import contextlib
import time
import traceback
from collections.abc import Iterator

import numpy as np
from keras_tuner import errors

from ..trials.execution_record import ExecutionRecord
from ..trials.search_trial import COMPLETED, FAILED, PRUNED, SearchTrial
from .objective_value import objective_value
from .search_keywords import refused_keywords
from .trial_end import TrialEnd


def run_recorded(tuner, trial: SearchTrial, args: tuple, kwargs: dict) -> None:
    """Runs a trial, and records its outcome in the trial.

    Args:
        tuner: `RandomSearch` whose `run_trial` is called.
        trial: Trial to run.
        args: Positional arguments of `run_trial`, after the trial.
        kwargs: Keyword arguments of `run_trial`.

    Raises:
        FatalError: If the trial raises a `FatalError`, which ends the whole search.
    """
    with recorded(trial):
        with refused_keywords(tuner, kwargs):
            results = tuner.run_trial(trial, *args, **kwargs)
        tuner.oracle.check_given(trial)
        metrics = complete(trial, results, tuner.oracle.objective)
        tuner.oracle.update_trial(trial.trial_id, metrics, trial.best_step)


@contextlib.contextmanager
def recorded(trial: SearchTrial) -> Iterator[None]:
    """Records the duration of a trial and, after an exception, its status and error.

    Raises:
        FatalError: If the trial raises a `FatalError`, which ends the whole search.
    """
    began = time.monotonic()
    try:
        yield
    except errors.FatalError:
        raise
    except TrialEnd as end:
        if end.status is not None:
            trial.status, trial.error = end.status, str(end)
        if end.status == PRUNED:
            reached = [each.best for each in trial.executions if each.best is not None]
            trial.score = float(np.mean(reached))
    except Exception as error:
        trial.status, trial.message = FAILED, traceback.format_exc()
        lines = str(error).strip().splitlines() or [""]
        trial.error = f"{type(error).__name__}: {lines[0]}"
    # The executions of a resumed trial include the time before it was interrupted.
    trained = sum(each.seconds for each in trial.executions)
    trial.seconds = max(time.monotonic() - began, trained)


def complete(trial: SearchTrial, results, objective) -> dict[str, float]:
    """Records the score, the best epoch and the status of a completed trial.

    Args:
        trial: Trial to update.
        results: Return value of `run_trial`: a number, a dict of metrics, a `History`,
            or a list of these.
        objective: `keras_tuner.Objective`.

    Returns:
        A dict that maps the names of the metrics to their values in the best epoch,
        averaged over the executions of the trial.
    """
    results = results if isinstance(results, list) else [results]
    if not trial.executions:  # `run_trial` is overridden
        trial.executions += [_record(result, objective) for result in results]
    executions = trial.executions
    trial.score = float(np.mean(trial.scores))
    trial.best_step = int(np.mean([each.best_epoch for each in executions]))
    trial.status = COMPLETED
    metrics = {
        name: float(np.mean([each.at_best(name) for each in executions]))
        for name in executions[0].history
    }
    metrics[objective.name] = trial.score
    return metrics


def _record(result, objective) -> ExecutionRecord:
    metrics = result if isinstance(result, dict) else {}
    score = objective_value(result, objective)
    curves = {name: [float(value)] for name, value in metrics.items()}
    return ExecutionRecord(score=score, best=score, history=curves)
