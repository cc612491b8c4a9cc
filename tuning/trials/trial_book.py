"""In-memory index of the trials of a search, for fast queries."""

import bisect
from collections.abc import Callable, Sequence

import numpy as np

from .search_trial import COMPLETED, DIVERGED, FAILED, PRUNED, SearchTrial
from .tried_combinations import TriedCombinations


class TrialBook:
    """Tracks all trials, the best trials, the unfinished trials and the tried values.

    Each update processes only one trial, so that the search never has to loop over all
    trials.

    Args:
        loss: Function that returns the score of a trial, negated if higher is better.

    Attributes:
        trials: Dict of all trials by id, in the order in which they started.
        unfinished: Dict of the unfinished trials by id.
        num_finished: Number of finished trials.
        tried: Combinations of values that have been tried.
    """

    def __init__(self, loss: Callable[[SearchTrial], float]):
        self.loss = loss
        self.trials: dict[str, SearchTrial] = {}
        self.unfinished: dict[str, SearchTrial] = {}
        self.num_finished = 0
        self.tried = TriedCombinations()
        self._ranking: list[tuple[float, int]] = []
        self._completed: dict[int, SearchTrial] = {}
        self._always_read: set[str] | None = None  # None before a trial has finished

    def add(self, trial: SearchTrial) -> None:
        """Adds a finished or unfinished trial."""
        self.trials[trial.trial_id] = trial
        if trial.is_finished:
            self._finish(trial)
        else:
            self.unfinished[trial.trial_id] = trial
            values = trial.hyperparameters.values.unrecorded()
            if values:  # empty if no hyperparameters are known yet
                self.tried.add_whole(values)

    def end(self, trial: SearchTrial) -> None:
        """Marks a trial as finished."""
        self.unfinished.pop(trial.trial_id, None)
        self._finish(trial)

    def may_repeat(self, values: dict) -> bool:
        """Returns whether an unfinished trial may turn out to have the same values.

        Only values that the model reads are compared, and it is not known yet which
        values an unfinished trial reads. A different value of a hyperparameter
        that all finished trials have read counts as a difference.
        """

        def may_equal(other: dict) -> bool:
            names = values.keys() & other.keys()
            if self._always_read is not None:
                names &= self._always_read
            return all(values[name] == other[name] for name in names)

        return any(
            may_equal(trial.hyperparameters.values.unrecorded())
            for trial in self.unfinished.values()
        )

    def finished(self) -> list[SearchTrial]:
        """Returns the finished trials, in the order in which they started."""
        return [trial for trial in self.trials.values() if trial.is_finished]

    def best(self, number: int) -> list[SearchTrial]:
        """Returns up to `number` completed trials, starting with the best."""
        return [self._completed[index] for _, index in self._ranking[:number]]

    def ranks(self, trials: Sequence[SearchTrial]) -> np.ndarray:
        """Returns the ranks of trials, where lower is better.

        Pruned trials rank worse than completed trials. Diverged and failed trials are
        considered equally bad and share the last rank.
        """
        levels = {COMPLETED: 0, PRUNED: 1, DIVERGED: 2, FAILED: 2}
        keys = []
        for trial in trials:
            level = levels[trial.status]
            keys.append((level, self.loss(trial) if level < 2 else 0.0))
        order = {key: rank for rank, key in enumerate(sorted(set(keys)))}
        return np.array([order[key] for key in keys], float)

    def _finish(self, trial: SearchTrial) -> None:
        self.num_finished += 1
        values = trial.hyperparameters.values.unrecorded()
        if trial.status != FAILED:
            self.tried.add(values)
            names = self._always_read
            self._always_read = set(values) if names is None else names & values.keys()
        elif values:  # empty if the trial failed before any value was read
            self.tried.add_whole(values)
        if trial.status == COMPLETED:
            self._completed[trial.number] = trial
            bisect.insort(self._ranking, (self.loss(trial), trial.number))
