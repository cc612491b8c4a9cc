"""All trials of a search, with what is asked of them again and again."""

import bisect
from collections.abc import Callable

from .search_trial import COMPLETED, FAILED, SearchTrial
from .tried import Tried


class TrialBook:
    """Keeps the trials, the best, the unfinished ones, and what was tried.

    Each is kept up to date trial by trial, so that no trial costs a look at all.

    Args:
        loss: Function that returns the score of a trial, so that less is better.

    Attributes:
        trials: The trials by their id, in the order in which they were begun.
        unfinished: Those that have not come to an end.
        num_finished: Number of the others.
        tried: Values that were tried.
    """

    def __init__(self, loss: Callable[[SearchTrial], float]):
        self.loss = loss
        self.trials: dict[str, SearchTrial] = {}
        self.unfinished: dict[str, SearchTrial] = {}
        self.num_finished = 0
        self.tried = Tried()
        self._ranking: list[tuple[float, int]] = []
        self._completed: dict[int, SearchTrial] = {}

    def add(self, trial: SearchTrial) -> None:
        """Adds a trial, finished or not."""
        self.trials[trial.trial_id] = trial
        if trial.is_finished:
            self._finish(trial)
        else:
            self.unfinished[trial.trial_id] = trial
            values = trial.hyperparameters.values.unrecorded()
            if values:  # else nobody knows yet what it will ask for
                self.tried.add_whole(values)

    def end(self, trial: SearchTrial) -> None:
        """Notes that a trial has come to an end."""
        self.unfinished.pop(trial.trial_id, None)
        self._finish(trial)

    def best(self, number: int) -> list[SearchTrial]:
        """Returns the best completed trials, fewer if there are not as many."""
        return [self._completed[index] for _, index in self._ranking[:number]]

    def _finish(self, trial: SearchTrial) -> None:
        self.num_finished += 1
        values = trial.hyperparameters.values.unrecorded()
        if trial.status != FAILED:
            self.tried.add(values)
        elif values:  # else it failed before it asked for any
            self.tried.add_whole(values)
        if trial.status == COMPLETED:
            self._completed[trial.number] = trial
            bisect.insort(self._ranking, (self.loss(trial), trial.number))
