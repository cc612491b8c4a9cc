"""Oracle that proposes trials and records their outcomes."""

import functools
import threading
from collections.abc import Callable, Sequence
from itertools import islice
from typing import Any

import keras_tuner
from keras_tuner.engine.hyperparameters import HyperParameter

from ..hyperparameters.drawn_hyperparameters import DrawnHyperParameters, check_space
from ..hyperparameters.probability import is_ordered
from ..keras_tuner_internals import project_folder
from ..progress import Progress
from ..random_streams import uniform
from ..trials.search_trial import FAILED, STOPPED, SearchTrial
from ..trials.trial_book import TrialBook
from ..trials.trial_files import TrialFiles
from .checked_objective import checked_objective
from .failure_limit import FailureLimit
from .initial_trials import check_names, given_value
from .space_order import in_order_of_trials, names_of

MAX_ATTEMPTS = 1000  # draws per trial before untried combinations are listed


class SearchOracle(keras_tuner.Oracle):
    """Draws each value from its own random stream.

    A value depends only on the seed, the number of the trial, the number of rejected
    draws for this trial, and the name of the hyperparameter. It does not depend on
    other draws, on which hyperparameters are already known, or on interruptions. A draw
    is rejected if an earlier trial had the same values. After 1,000 rejected draws for
    a trial, one of the untried combinations is chosen instead.

    Args:
        objective: As in `keras_tuner.Oracle`.
        max_trials: Integer >= 1, the maximum number of trials.
        trials_per_round: Integer >= 1, the number of trials in each round.
        seed: Integer >= 0; `None` if the `seed` attribute is set later.
        hyperparameters: Ranges that override those of the hypermodel, or `None`.
        max_consecutive_failed_trials: Integer >= 1. If this many trials in a row fail,
            the search ends with an error.

    Attributes:
        initial: Dicts of values for the first trials. Missing hyperparameters get their
            defaults.
        is_out_of_time: Function that returns whether the time budget is used up. Once
            it is, no new trial starts.
        progress: `Progress` that prints one line per trial.
    """

    ongoing_trials: dict[str, SearchTrial]
    not_sent: tuple[str, ...] = (  # names of attributes that workers do not need
        *("book", "trials", "ongoing_trials", "start_order", "end_order", "progress"),
        *("is_out_of_time", "_guard", "_files", "_seen_spaces"),
    )

    def __init__(
        self,
        objective,
        *,
        max_trials: int,
        trials_per_round: int,
        seed: int | None,
        hyperparameters: keras_tuner.HyperParameters | None,
        max_consecutive_failed_trials: int,
    ):
        super().__init__(
            objective=checked_objective(objective),
            max_trials=max_trials,
            hyperparameters=hyperparameters,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        if hyperparameters is None:
            self.hyperparameters = DrawnHyperParameters()
        else:  # a copy, because builds add hyperparameters
            check_space(hyperparameters.space)
            names = frozenset(hp.name for hp in hyperparameters.space)
            self.hyperparameters = DrawnHyperParameters.of(
                hyperparameters.space, hyperparameters.values, names
            )
        self.seed: Any = seed  # set here, because KerasTuner treats 0 as no seed
        self.trials_per_round = trials_per_round
        self.initial: Sequence[dict] = ({},)
        self._failures = FailureLimit(max_consecutive_failed_trials)
        self._discovered: set[str] | None = None  # before any trial; set by `reload`
        self._begin()

    def _begin(self) -> None:
        # KerasTuner does not release its own lock after an exception.
        self._guard = threading.RLock()
        self.progress = Progress(self)
        self.is_out_of_time: Callable[[], bool] = lambda: False
        self._seen_spaces: set[tuple] = set()
        self._is_in_order = True
        self._postponed: set[str] = set()
        self.ongoing_trials = {}
        self.book = TrialBook(self.loss)
        self.trials = self.book.trials

    def __getstate__(self) -> dict:
        """Returns the state that is sent to workers, which contains no trials."""
        return {k: v for k, v in vars(self).items() if k not in self.not_sent}

    def __setstate__(self, state: dict) -> None:
        self.__dict__.update(state)
        self._begin()

    @property
    def verbose(self) -> int:
        """Verbosity of the search, as in `RandomSearch.search`."""
        return self.progress.verbose

    @verbose.setter
    def verbose(self, value: int):
        self.progress.verbose = value

    def create_trial(self, tuner_id: str) -> SearchTrial:
        """Returns the next trial to run; interrupted trials come first.

        A trial that was postponed comes when there is no other. The returned trial has
        the status STOPPED if no trial is left, if the time budget is used up, or if the
        next trial depends on trials that are running.
        """
        with self._guard:
            if tuner_id in self.ongoing_trials:
                return self.ongoing_trials[tuner_id]
            trial = None
            if not self.is_out_of_time():
                trial = (
                    self._interrupted_trial(self._postponed)
                    or self._new_trial()
                    or self._interrupted_trial()
                )
            if trial is None:
                return SearchTrial(self.get_space(), status=STOPPED)
            self.ongoing_trials[tuner_id] = trial
            return trial

    def draw_value(self, hp: HyperParameter, trial: SearchTrial) -> tuple:
        """Draws a random value from the full range.

        Returns:
            The value and its source, "full".
        """
        probability = uniform(self.seed, trial.number, trial.attempt, hp.name)
        return hp.prob_to_value(probability), "full"

    def range_of(self, hp: HyperParameter, round: int) -> tuple:
        """Returns the range of a hyperparameter in a round.

        Returns:
            The two probabilities at the ends of the range, or the values of a
            categorical hyperparameter.
        """
        return (0.0, 1.0) if is_ordered(hp) else tuple(hp.values)

    def update_trial(self, trial_id: str, metrics: dict, step: int = 0) -> SearchTrial:
        """Stores metrics in `trial.metrics`, where KerasTuner expects them."""
        trial = self.trials[trial_id]
        for name, value in metrics.items():
            if not trial.metrics.exists(name):
                is_objective = name == self.objective.name
                direction = self.objective.direction if is_objective else None
                trial.metrics.register(name, direction)
            trial.metrics.update(name, value, step=step)
        return trial

    def end_trial(self, trial: SearchTrial) -> None:
        """Records a finished trial.

        Raises:
            RuntimeError: If too many trials in a row have failed. The error is raised
                after the trial is saved.
        """
        with self._guard:
            failed = trial.status == FAILED
            trial.forget_unasked(self._known_before(trial.round) if failed else ())
            num_known = len(self.hyperparameters.space)
            self.update_space(trial.hyperparameters)
            if len(self.hyperparameters.space) > num_known:
                self._is_in_order &= trial.number == len(self.trials) - 1
            self._files.write(trial)
            self.book.end(trial)
            self.end_order.append(trial.trial_id)
            self.release(trial)
            if not self.ongoing_trials:
                self._order_space()
            self.progress.on_trial_end(trial)
            self._failures.count(trial)

    def check_given(self, trial: SearchTrial) -> None:
        """Raises an error if `build` did not read all values of an initial trial."""
        if self._is_given(trial) and trial.hyperparameters.asked:
            check_names(self.initial[trial.number], trial.hyperparameters)

    def prepare(self, trial: SearchTrial) -> None:
        """Resets a trial that is about to run, and keeps its values."""
        trial.begin()
        trial.hyperparameters = trial.hyperparameters.copy()
        trial.hyperparameters.given = self.hyperparameters.given
        trial.hyperparameters.draw = self._drawer(trial)

    def release(self, trial: SearchTrial) -> None:
        """Removes a trial from the ongoing trials. If unfinished, it is run again."""
        self.ongoing_trials = {
            tuner_id: other
            for tuner_id, other in self.ongoing_trials.items()
            if other is not trial
        }

    def postpone(self, trial: SearchTrial) -> None:
        """Releases a trial that is to run after the other trials of its round."""
        self.release(trial)
        self._postponed.add(trial.trial_id)

    def on_search_begin(self) -> None:
        self._failures.reset()
        self._postponed.clear()
        self.ongoing_trials = {}  # left by a search that ended with an exception

    def get_best_trials(self, num_trials: int = 1) -> list[SearchTrial]:
        """Returns up to `num_trials` completed trials, starting with the best."""
        return self.book.best(num_trials)

    def loss(self, trial: SearchTrial) -> float:
        """Returns the score, negated if the objective is maximized."""
        return -trial.score if self.objective.direction == "max" else trial.score

    def remaining_trials(self) -> int:
        return max(self.max_trials - self.book.num_finished, 0)

    def get_space(self) -> DrawnHyperParameters:
        return self.hyperparameters.copy()

    def save(self) -> None:
        """Does nothing, because each trial is saved in its own file."""

    def reload(self) -> None:
        """Reads all trials from their files, and registers their hyperparameters."""
        with self._guard:
            if self._discovered is None:
                self._discovered = names_of([self.hyperparameters])
            self.book = TrialBook(self.loss)
            self.trials = self.book.trials
            for trial in self._files.read():
                trial.hyperparameters.given = self.hyperparameters.given
                self.book.add(trial)
                self.update_space(trial.hyperparameters)
            self.start_order = list(self.trials)
            self.end_order = [id for id, t in self.trials.items() if t.is_finished]

    def update_space(self, hyperparameters: keras_tuner.HyperParameters) -> None:
        """Registers new hyperparameters. Spaces that were seen before are skipped."""
        space = tuple(hyperparameters.space)
        if space not in self._seen_spaces:
            self._seen_spaces.add(space)
            super().update_space(hyperparameters)

    def _known_before(self, round: int) -> set[str]:
        """Returns the names of the hyperparameters that were known before a round.

        If none was known before the first trial, which then runs alone, its own are
        included.
        """
        known = self._discovered or set()
        number = max((round - 1) * self.trials_per_round, 0 if known else 1)
        earlier = islice(self.trials.values(), number)
        return known | names_of(trial.hyperparameters for trial in earlier)

    def _order_space(self) -> None:
        """Sorts the hyperparameters as if the trials had run one by one."""
        if not self._is_in_order:
            trials = self.trials.values()
            self.hyperparameters = in_order_of_trials(self.hyperparameters, trials)
            self._is_in_order = True

    @functools.cached_property
    def _files(self) -> TrialFiles:
        return TrialFiles(project_folder(self))

    def _interrupted_trial(self, without=frozenset()) -> SearchTrial | None:
        running = {trial.trial_id for trial in self.ongoing_trials.values()}
        for trial_id, trial in self.book.unfinished.items():
            if trial_id not in running | without:
                self._postponed.discard(trial_id)
                self.prepare(trial)
                return trial
        return None

    def _new_trial(self) -> SearchTrial | None:
        number = len(self.trials)
        if number >= self.max_trials or self._must_wait(number):
            return None
        trial = self._draw_trial(number)
        if trial is None:
            return None
        self.book.add(trial)
        self.start_order.append(trial.trial_id)
        self._files.write(trial)
        return trial

    def _must_wait(self, number: int) -> bool:
        """Returns whether a trial depends on unfinished trials of an earlier round."""
        # If no hyperparameter is known yet, the first trial runs alone.
        round = number // self.trials_per_round + 1
        return any(
            trial.round < round or not self.hyperparameters.space
            for trial in self.book.unfinished.values()
        )

    def _draw_trial(self, number: int) -> SearchTrial | None:
        """Returns a trial with untried values; `None` if they are not known (yet)."""
        for attempt in range(MAX_ATTEMPTS):
            trial = self._make_trial(number, attempt)
            self._draw_values(trial, self._drawer(trial))
            values = trial.hyperparameters.values.unrecorded()
            if self.book.may_repeat(values):
                return None  # known when the unfinished trials have ended
            if values not in self.book.tried:
                return trial
        if self.book.unfinished:
            return None
        trial = self._make_trial(number, MAX_ATTEMPTS)
        every, left = self.book.tried.untried(
            self.hyperparameters.space,
            lambda hp: SearchOracle.draw_value(self, hp, trial)[0],
        )
        if not left:
            self.progress.on_exhausted(None if every else MAX_ATTEMPTS)
            return None
        chosen = left[int(uniform(self.seed, number, "left") * len(left))]
        self._draw_values(trial, lambda hp: chosen[hp.name])
        trial.sources = dict.fromkeys(chosen, "full")
        trial.hyperparameters.draw = self._drawer(trial)
        return trial

    def _make_trial(self, number: int, attempt: int) -> SearchTrial:
        hyperparameters = DrawnHyperParameters()
        hyperparameters.given = self.hyperparameters.given
        trial = SearchTrial(hyperparameters, f"{number:04d}")
        trial.round = number // self.trials_per_round + 1
        trial.attempt = attempt
        return trial

    def _draw_values(self, trial: SearchTrial, draw: Callable) -> None:
        trial.hyperparameters.draw = draw
        trial.hyperparameters.merge(self.hyperparameters.space)

    def _drawer(self, trial: SearchTrial) -> Callable:
        """Returns a function that provides the values of a trial.

        `build` may declare hyperparameters that are not yet part of the search space.
        The returned function also provides their values.
        """

        def draw(hp: HyperParameter):
            if self._is_given(trial):
                value, source = given_value(hp, self.initial[trial.number])
            else:
                value, source = self.draw_value(hp, trial)
            trial.sources[hp.name] = source
            return value

        return draw

    def _is_given(self, trial: SearchTrial) -> bool:
        return trial.attempt == 0 and trial.number < len(self.initial)
