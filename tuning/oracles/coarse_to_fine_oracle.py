"""Oracle that draws trials in rounds, from ranges that narrow after each round."""

import dataclasses
import json
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from keras_tuner.engine.hyperparameters import HyperParameter

from zoo.utils.files import replacing

from ..hyperparameters.probability import (
    choices,
    is_constant,
    is_ordered,
    key_of,
    to_probability,
    to_values,
)
from ..keras_tuner_internals import project_folder
from ..random_streams import seed as seed_of
from ..random_streams import uniform
from ..trials.search_trial import SearchTrial
from .hyperparameter_column import HyperparameterColumn
from .narrowing import (
    FEWEST_TRIALS,
    LEVEL,
    Decision,
    narrow_choices,
    narrow_range,
)
from .score_model import ScoreModel
from .search_oracle import MAX_ATTEMPTS, SearchOracle


class CoarseToFineOracle(SearchOracle):
    """Draws values from ranges that narrow if there is evidence of an effect.

    The ranges of a round depend only on the seed and on the trials of earlier rounds.
    They are recomputed whenever a search is reloaded, so they cannot be lost. The
    files `round_{n}.json` are written for users, and the search never reads them.

    Args:
        explore: Probability that a trial after the first round draws one value from its
            full range.
        candidates: Integer >= 1, the number of combinations of values that are drawn
            for each trial after the first round. The most promising one is used (see
            `ScoreModel`).
        **settings: Arguments of `SearchOracle`.
    """

    not_sent = (*SearchOracle.not_sent, "_columns", "_last_explored", "_model")

    def __init__(self, *, explore: float, candidates: int, **settings):
        super().__init__(**settings)
        self.explore = explore
        self.candidates = candidates
        self._decisions: dict[int, dict[str, Decision]] = {}

    def _begin(self) -> None:
        super()._begin()
        self._columns: dict[str, HyperparameterColumn] = {}
        self._model: tuple[int, ScoreModel] | None = None  # and its round
        self._last_explored: tuple = (None, None)

    def draw_value(self, hp: HyperParameter, trial: SearchTrial) -> tuple:
        """Draws a value from the range of the current round.

        If the trial explores this hyperparameter, the value is drawn from the full
        range instead.

        Returns:
            The value and its source, "narrowed" or "full".
        """
        if trial.round == 1:
            return super().draw_value(hp, trial)
        if self._last_explored[0] is not trial:
            self._last_explored = trial, self._explored(trial)
        if key_of(hp) == self._last_explored[1]:
            return super().draw_value(hp, trial)
        key = (self.seed, trial.number, trial.attempt, hp.name)
        bounds = self.range_of(hp, trial.round)
        if not is_ordered(hp):
            return bounds[int(uniform(*key) * len(bounds))], "narrowed"
        low, high = bounds
        probability = low + uniform(*key) * (high - low)
        return hp.prob_to_value(min(probability, 1 - 2.0**-53)), "narrowed"

    def range_of(self, hp: HyperParameter, round: int) -> tuple:
        """Returns the range of a hyperparameter in a round.

        Returns:
            The two probabilities at the ends of the range, or the remaining values of a
            categorical hyperparameter.
        """
        decision = self.decisions(round - 1).get(key_of(hp)) if round > 1 else None
        return super().range_of(hp, round) if decision is None else decision.new

    def decisions(self, round: int) -> dict[str, Decision]:
        """Returns a dict from hyperparameter keys to the decisions after a round."""
        if round not in self._decisions:
            self._decisions[round] = self._decide_all(round)
        return self._decisions[round]

    def end_trial(self, trial: SearchTrial) -> None:
        super().end_trial(trial)
        last = trial.round * self.trials_per_round
        if self.book.num_finished == min(last, len(self.trials)) == last:
            self._write_audit(trial.round)

    def reload(self) -> None:
        self._decisions, self._columns, self._model = {}, {}, None
        super().reload()

    def _draw_trial(self, number: int) -> SearchTrial | None:
        first = super()._draw_trial(number)
        if first is None or first.round == 1 or self._is_given(first):
            return first
        trials = [first]
        # If random draws have failed to find untried values, there are no others.
        end = first.attempt + self.candidates if first.attempt < MAX_ATTEMPTS else 0
        for attempt in range(first.attempt + 1, end):
            trial = self._make_trial(number, attempt)
            self._draw_values(trial, self._drawer(trial))
            values = trial.hyperparameters.values.unrecorded()
            if self.book.may_repeat(values):
                return None
            if values not in self.book.tried:
                trials.append(trial)
        if len(trials) == 1:
            return first
        predictions = self._score_model(first.round).predict(trials)
        return trials[int(np.argmin(predictions))]

    def _score_model(self, round: int) -> ScoreModel:
        """Returns a model of the scores of all trials before a round."""
        if self._model is None or self._model[0] != round:
            number = (round - 1) * self.trials_per_round
            trials = list(islice(self.trials.values(), number))
            space = [hp for hp in self.hyperparameters.space if not is_constant(hp)]
            model = ScoreModel(space, trials, self.book.ranks(trials))
            self._model = round, model
        return self._model[1]

    def _explored(self, trial: SearchTrial) -> str | None:
        """Returns the key of the hyperparameter that a trial explores, or `None`.

        The values of all other hyperparameters come from narrowed ranges, so that the
        score shows the effect of the explored hyperparameter.
        """
        key = (self.seed, trial.number, trial.attempt)
        if uniform(*key, "explore") >= self.explore:
            return None
        narrowed = [
            key_of(hp)
            for hp in self.hyperparameters.space
            if self.range_of(hp, trial.round) != self.range_of(hp, 1)
        ]
        index = int(uniform(*key, "explored") * len(narrowed))
        return narrowed[index] if narrowed else None

    def _decide_all(self, round: int) -> dict[str, Decision]:
        """Decides on the ranges of all hyperparameters, one by one.

        The hyperparameter with the strongest evidence narrows first. The others are
        then tested using only the trials inside the new ranges, because a bad value of
        one hyperparameter, such as the learning rate, can hide the effects of all
        others.
        """
        space = {
            key_of(hp): hp for hp in self.hyperparameters.space if not is_constant(hp)
        }
        trials = list(islice(self.trials.values(), round * self.trials_per_round))
        ranks = self.book.ranks(trials)
        columns = {key: self._column(hp, trials) for key, hp in space.items()}
        inside, left = np.full(len(trials), True), dict(space)
        decisions: dict[str, Decision] = {}
        while left:
            found = {
                key: self._decide(hp, round, columns[key], ranks, inside)
                for key, hp in left.items()
            }
            first = min(found, key=lambda key: found[key].doubt)
            if found[first].doubt > LEVEL:
                decisions |= found
                break
            decisions[first] = found[first]
            hp = left.pop(first)
            inside &= ~columns[first].outside(hp, found[first].new, len(trials))
        return {key: decisions[key] for key in space}

    def _column(
        self, hp: HyperParameter, trials: list[SearchTrial]
    ) -> HyperparameterColumn:
        """Adds new trials to the column of a hyperparameter, and returns the column."""
        column = self._columns.setdefault(key_of(hp), HyperparameterColumn())
        for trial in trials[column.num_trials :]:
            if hp.name in trial.sources and trial.has(hp):
                value = trial.hyperparameters.values[hp.name]
                position = to_probability(hp, value) if is_ordered(hp) else value
                column.append(trial.number, position, self._stratum(hp, trial))
        # After a reload, an earlier round may be decided after a later one.
        column.num_trials = max(column.num_trials, len(trials))
        return column.up_to(len(trials))

    def _decide(
        self,
        hp: HyperParameter,
        round: int,
        column: HyperparameterColumn,
        ranks: np.ndarray,
        inside: np.ndarray,
    ) -> Decision:
        """Decides on the range of one hyperparameter.

        Args:
            hp: Hyperparameter.
            round: Number of the round that has ended.
            column: Column of the hyperparameter, with all trials so far.
            ranks: Ranks of all trials so far.
            inside: Boolean mask of the trials whose values lie inside all ranges that
                have been narrowed in this round. The decision is based only on these
                trials. If there are too few, it is based on all trials.
        """
        tested = column.of(inside)
        if len(tested.numbers) < FEWEST_TRIALS:
            tested = column
        common: dict[str, Any] = {
            "ranks": ranks[tested.numbers],
            "strata": tested.strata,
            "current": self.range_of(hp, round),
            "num_best": max(self.trials_per_round // 5, 3),
            "seed": seed_of(self.seed, round, key_of(hp), "narrow"),
        }
        if not is_ordered(hp):
            decision = narrow_choices(tested.positions, **common)
        else:
            few = choices(hp)
            if few is not None:
                common["resolution"] = 1 / len(few)
            decision = narrow_range(tested.positions, **common)
        numbers = tuple(tested.numbers[index] for index in decision.best)
        return dataclasses.replace(decision, best=numbers)

    def _stratum(self, hp: HyperParameter, trial: SearchTrial) -> tuple:
        """Returns a label for the distribution from which a value was drawn.

        Initial and default values were not drawn, so each such value forms its own
        stratum.
        """
        source = trial.sources[hp.name]
        alone = trial.number if source in ("initial", "default") else None
        return (trial.round, source, alone)

    def _write_audit(self, round: int) -> None:
        entries = []
        space = {key_of(hp): hp for hp in self.hyperparameters.space}
        for key, decision in self.decisions(round).items():
            hp = space[key]
            entries.append(
                {
                    "hyperparameter": key,
                    "decision": decision.reason,
                    "p_value": decision.p_value,
                    "trials_tested": decision.num_trials,
                    "old_range": _in_values(hp, self.range_of(hp, round)),
                    "new_range": _in_values(hp, decision.new),
                    "trials_that_decided": decision.best,
                }
            )
        path = Path(project_folder(self)) / f"round_{round}.json"
        with replacing(path) as partial:
            partial.write_text(json.dumps(entries, indent=1))


def _in_values(hp: HyperParameter, bounds: tuple) -> list:
    if not is_ordered(hp):
        return list(bounds)
    return list(to_values(hp, bounds))
