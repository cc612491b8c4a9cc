"""Random search that narrows its own ranges."""

from collections.abc import Callable

import keras_tuner

from zoo.utils.arguments import check_fraction, check_integer, invalid_argument

from .coarse_to_fine_oracle import CoarseToFineOracle
from .random_search import RandomSearch


class CoarseToFineSearch(RandomSearch):
    """Searches at random in rounds, each in narrower ranges than the one before.

    After a round, the range of a hyperparameter narrows around the best trials of all
    rounds, a fifth as many as a round has; but only where there is evidence that the
    scores depend on it: a permutation test with p <= 0.1 (see `tuning.narrowing`).
    Among 20 trials the best few span most of a range that does not matter, by chance.
    Where a learning rate is bad, nothing else shows: so what has the strongest evidence
    narrows first, and the others are then tested among the trials inside its new range,
    one after the other; among all trials where fewer than eight are inside. One
    dimension at a time is how Friedman & Fisher shrink a box, "Bump Hunting in
    High-Dimensional Data" (1999). Ranges narrow as probabilities, so that a log scale
    stays logarithmic.

    - A hyperparameter with unordered values loses those that the best trials lack.
    - Where the best trial lies on the edge of a narrowed range, the range grows beyond
      it, never beyond the bounds of the space; see `edge_warnings` for those.
    - A share of the trials, `explore`, draws one value from its full range, so that a
      bad first round can be undone.
    - Of a conditional hyperparameter only the trials count in which it is active.
    - Pruned trials count as worse than completed ones, those that failed or diverged
      as worst.

    A file `round_1.json` and so on in the folder of the search says for each
    hyperparameter the old range, the new one, which trials decided, how many were
    tested, and why.

    Args:
        hypermodel: As in `RandomSearch`.
        objective: As in `RandomSearch`.
        rounds: Integer >= 1. A search can be gone on with by a greater number.
            Defaults to `3`.
        trials_per_round: Integer >= 1; with fewer than 8 there can be no evidence after
            the first round. Defaults to `20`.
        explore: Probability, in [0, 1), that a trial after the first round draws one
            of its narrowed values from the full range. Defaults to `0.2`.
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
