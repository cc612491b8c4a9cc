"""Runs several trials of a search at the same time."""

import itertools
from collections import Counter
from concurrent.futures import (
    FIRST_COMPLETED,
    BrokenExecutor,
    CancelledError,
    Future,
    wait,
)

from ..time_budget import TimeBudget
from ..training.checkpoints import Checkpoints
from ..training.trial_runner import TrialRunner
from ..trials.search_trial import FAILED, STOPPED, SearchTrial
from .executor_crew import ExecutorCrew
from .local_crew import LocalCrew
from .process_slot import WorkerDied
from .trial_task import TrialReport, TrialTask

MAX_DEATHS = 3  # workers that die during a trial before the trial counts as failed
GIVEN_UP = "KilledWorker"  # Dask's error after it has run a task several times


class ParallelTrials:
    """Runs the remaining trials of a search in several workers.

    Only this process draws values and writes records. A trial whose worker dies is run
    again with the same values, after the other trials of its round. A trial whose
    workers have died three times is recorded as failed.

    Args:
        search: `RandomSearch` that has begun.
        crew: Workers that run the trials.
        runner: Runner of the search, which knows the curves of completed trials.
        budget: Time budget of the search.
        checkpoints: Checkpoints of the search.
    """

    def __init__(
        self,
        search,
        crew: LocalCrew | ExecutorCrew,
        runner: TrialRunner,
        budget: TimeBudget,
        checkpoints: Checkpoints,
    ):
        self.search = search
        self.oracle = search.oracle
        self.crew = crew
        self.runner = runner
        self.budget = budget
        self.checkpoints = checkpoints
        self._running: dict[Future, SearchTrial] = {}
        self._deaths: Counter[int] = Counter()
        self._tickets = itertools.count()

    def run(self) -> None:
        """Runs trials until none is left, or until the time budget is used up.

        Raises:
            RuntimeError: If too many trials in a row fail, or if the executor breaks.
            FatalError: If a trial raises a `FatalError`.
        """
        self.search.on_search_begin()
        self._run_all()
        self.search.on_search_end()

    def _run_all(self) -> None:
        while True:
            self._start_trials()
            if not self._running:
                return
            ended, _ = wait(self._running, return_when=FIRST_COMPLETED)
            self._end_trials(ended)

    def _start_trials(self) -> None:
        while len(self._running) < self.crew.size:
            self.search.pre_create_trial()
            trial = self.oracle.create_trial(f"trial-{next(self._tickets)}")
            if trial.status == STOPPED:
                return  # no trial is left, or the next one has to wait
            self.search.on_trial_begin(trial)
            self._running[self.crew.submit(self._task(trial))] = trial

    def _task(self, trial: SearchTrial) -> TrialTask:
        return TrialTask(
            trial.get_state(),
            self.oracle,
            self.budget.left(),
            self.runner.score_to_beat(),
            self.runner.rules,
        )

    def _end_trials(self, ended: set[Future]) -> None:
        """Records trials that have ended. Afterwards, raises the first error."""
        first_error = None
        for future in sorted(ended, key=lambda each: self._running[each].number):
            try:
                self._end_trial(future, self._running.pop(future))
            except Exception as error:
                first_error = first_error or error
        if first_error is not None:
            raise first_error

    def _end_trial(self, future: Future, trial: SearchTrial) -> None:
        try:
            report = future.result()
        except (BrokenExecutor, CancelledError) as error:
            raise RuntimeError(
                "The executor has stopped running trials. All finished trials are "
                "recorded. Call `search` again to continue, with a new executor. "
                f"Received: {type(error).__name__}: {error}"
            ) from error
        except WorkerDied:
            self._count_death(trial, 1)
        except Exception as error:
            if type(error).__name__ != GIVEN_UP:
                raise
            self._count_death(trial, MAX_DEATHS)
        else:
            self._receive(trial, report)
            self.search.on_trial_end(trial)

    def _receive(self, trial: SearchTrial, report: TrialReport) -> None:
        trial.set_state(report.state)
        trial.hyperparameters.given = self.oracle.hyperparameters.given
        trial.hyperparameters.asked.update(dict.fromkeys(report.asked))
        trial.worker = report.worker
        self.checkpoints.write(trial, report.files)

    def _count_death(self, trial: SearchTrial, deaths: int) -> None:
        self._deaths[trial.number] += deaths
        if self._deaths[trial.number] < MAX_DEATHS:
            self.oracle.progress.on_worker_death(trial)
            # Later, whatever has killed the worker may be over.
            self.oracle.postpone(trial)
            return
        trial.status = FAILED
        trial.error = trial.message = (
            f"its worker died {MAX_DEATHS} times, perhaps because it was killed or ran "
            "out of memory"
        )
        self.search.on_trial_end(trial)
