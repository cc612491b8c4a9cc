"""Random search that narrows its own ranges."""

from collections.abc import Callable

import keras_tuner

from zoo.arguments import check_fraction, check_integer, invalid_argument

from .coarse_to_fine_oracle import CoarseToFineOracle
from .random_search import RandomSearch


class CoarseToFineSearch(RandomSearch):
    """Searches at random in rounds, each in narrower ranges than the one before.

    After a round, the range of each hyperparameter narrows around the best trials of
    all rounds, a quarter as many as a round has; but only where there is evidence that
    the scores depend on it: a permutation test with p <= 0.05 (see
    `tuning.narrowing`). Among 20 trials the best quarter spans two thirds of a range
    that does not matter, by chance. Ranges narrow as probabilities, so that a log
    scale stays logarithmic.

    - A hyperparameter with unordered values loses those that the best trials lack.
    - Where the best trial lies on the edge of a narrowed range, the range grows beyond
      it, never beyond the bounds of the space; see `edge_warnings` for those.
    - A share of all values, `explore`, is drawn from the full ranges in every round, so
      that a bad first round can be undone.
    - Of a conditional hyperparameter only the trials count in which it is active.
    - Pruned trials count as worse than completed ones, those that failed or diverged
      as worst.

    A file `round_1.json` and so on in the folder of the search says for each
    hyperparameter the old range, the new one, which trials decided, and why.

    Args:
        hypermodel: As in `RandomSearch`.
        objective: As in `RandomSearch`.
        rounds: Integer >= 1. A search can be gone on with by a greater number.
            Defaults to `3`.
        trials_per_round: Integer >= 1; with fewer than 8 there can be no evidence after
            the first round. Defaults to `20`.
        explore: Probability, in [0, 1), that a value is drawn from the full range.
            Defaults to `0.2`.
        **options: The other options of `RandomSearch`.

    Raises:
        ValueError: If an argument is invalid, or the folder holds a search that was
            begun with other settings.

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
    [0.0525, 0.0142, 0.0028]
    """

    def __init__(
        self,
        hypermodel: keras_tuner.HyperModel | Callable | None = None,
        objective: str | keras_tuner.Objective | None = None,
        rounds: int = 3,
        trials_per_round: int = 20,
        *,
        explore: float = 0.2,
        **options,
    ):
        check_integer("rounds", rounds, minimum=1)
        self.trials_per_round = check_integer(
            "trials_per_round", trials_per_round, minimum=1
        )
        self.explore = check_fraction("explore", explore)
        if "max_trials" in options:
            raise invalid_argument(
                "max_trials",
                "`rounds` and `trials_per_round` in its place",
                options["max_trials"],
            )
        super().__init__(hypermodel, objective, rounds * trials_per_round, **options)

    def _make_oracle(self, **settings) -> CoarseToFineOracle:
        return CoarseToFineOracle(
            explore=self.explore, trials_per_round=self.trials_per_round, **settings
        )

    def _settings(self) -> dict:
        return {
            **super()._settings(),
            "trials_per_round": self.trials_per_round,
            "explore": self.explore,
        }
