"""Random search that narrows the ranges of hyperparameters from round to round."""

from collections.abc import Callable

import keras_tuner

from zoo.utils.arguments import check_fraction, check_integer, invalid_argument

from .oracles.coarse_to_fine_oracle import CoarseToFineOracle
from .random_search import RandomSearch


class CoarseToFineSearch(RandomSearch):
    """Random search that narrows the ranges of hyperparameters after each round.

    After a round, the range of a hyperparameter narrows around the best trials of all
    rounds so far. The number of these trials is a fifth of `trials_per_round`, but at
    least three. The range narrows only if a permutation test finds evidence (p <= 0.1)
    that the scores depend on the hyperparameter; see `tuning.oracles.narrowing`.
    Without this test, ranges would narrow by chance: even if a hyperparameter has no
    effect, the best few of 20 trials span only part of its range.

    A bad value of one hyperparameter, such as the learning rate, can hide the effects
    of all others. Therefore, the hyperparameter with the strongest evidence narrows
    first. The other hyperparameters are then tested one by one, using only the trials
    inside all new ranges, or all trials if fewer than eight are inside. Friedman &
    Fisher ("Bump Hunting in High-Dimensional Data", 1999) also shrink a box one
    dimension at a time. Ranges are represented as probabilities, so that ranges on a
    log scale are narrowed on the log scale. The following rules also apply:

    - A value of a categorical hyperparameter is dropped if at least three trials have
      tried the value, but none of the best trials uses it.
    - If the best trial lies near or beyond an edge of a narrowed range, the range is
      extended past that trial, but never beyond the bounds of the search space.
      `edge_warnings` reports ranges that seem too narrow.
    - After the first round, each trial draws one value from its full range with
      probability `explore`, so that the search can recover from a bad first round.
    - For a conditional hyperparameter, only trials in which it is active are used.
    - With `candidates`, each trial after the first round draws that many combinations
      of values, and uses the one that a Gaussian process predicts to be best, based on
      the trials of all rounds before (see `tuning.oracles.score_model`). With small
      rounds, such as `rounds=12, trials_per_round=5, candidates=30`, the search learns
      faster and explores less.
    - Pruned trials rank worse than completed trials. Failed and diverged trials rank
      last.

    After round n, the file `round_{n}.json` in the folder of the search describes the
    decision for each hyperparameter:

    - the old range and the new range;
    - the reason for the decision, with the p-value of the test;
    - the number of trials considered;
    - the best trials, on which the decision is based.

    Args:
        hypermodel: See `RandomSearch`.
        objective: See `RandomSearch`.
        rounds: Integer >= 1, the number of rounds. Increase it to continue a finished
            search. Defaults to `3`.
        trials_per_round: Integer >= 1, the number of trials in each round. With fewer
            than 8, the first round cannot narrow any range. Defaults to `20`.
        explore: Probability, in [0, 1), that a trial after the first round draws the
            value of one narrowed hyperparameter from the full range. Defaults to `0.2`.
        candidates: Integer >= 1, the number of combinations of values that are drawn
            for each trial after the first round. Defaults to `1`.
        **options: Other arguments of `RandomSearch`.

    Raises:
        ValueError: If an argument is invalid, or if the folder contains a search that
            was started with different settings.

    Example:

    >>> import tempfile
    >>> from tuning import CoarseToFineSearch
    >>> class Parabola(CoarseToFineSearch):
    ...     def run_trial(self, trial, *args, **kwargs):
    ...         x = trial.hyperparameters.Float("x", 0.0, 1.0)
    ...         return (x - 0.3) ** 2
    >>> search = Parabola(seed=0, directory=tempfile.mkdtemp())
    >>> search.search(verbose=0)
    >>> results = search.results()
    >>> results.groupby("round").score.median().round(4).tolist()
    [0.0525, 0.0176, 0.0033]
    """

    def __init__(
        self,
        hypermodel: keras_tuner.HyperModel | Callable | None = None,
        objective: str | keras_tuner.Objective | None = None,
        rounds: int = 3,
        trials_per_round: int = 20,
        *,
        explore: float = 0.2,
        candidates: int = 1,
        **options,
    ):
        check_integer("rounds", rounds, minimum=1)
        self.trials_per_round = check_integer(
            "trials_per_round", trials_per_round, minimum=1
        )
        self.explore = check_fraction("explore", explore)
        self.candidates = check_integer("candidates", candidates, minimum=1)
        if "max_trials" in options:
            raise invalid_argument(
                "max_trials",
                "`rounds` and `trials_per_round` instead",
                options["max_trials"],
            )
        super().__init__(hypermodel, objective, rounds * trials_per_round, **options)

    def _make_oracle(self, **settings) -> CoarseToFineOracle:
        return CoarseToFineOracle(
            explore=self.explore,
            candidates=self.candidates,
            trials_per_round=self.trials_per_round,
            **settings,
        )

    def _settings(self) -> dict:
        return {
            **super()._settings(),
            "trials_per_round": self.trials_per_round,
            "explore": self.explore,
            # Left out by default, so that searches of earlier releases continue.
            **({"candidates": self.candidates} if self.candidates > 1 else {}),
        }
