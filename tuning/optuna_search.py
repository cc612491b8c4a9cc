"""Search whose values are proposed by an Optuna sampler."""

from collections.abc import Callable

import keras_tuner

from zoo.utils.arguments import check_integer, invalid_argument

from .oracles.sampler_oracle import SamplerOracle
from .random_search import RandomSearch


class OptunaSearch(RandomSearch):
    """Search in which an Optuna sampler proposes the values of each trial.

    The sampler only proposes values. Everything else works as in `RandomSearch`: the
    search spaces, folds, pruning, checkpoints and tables, and continuing a search after
    its process was killed. No Optuna storage is required. Optuna is an optional
    dependency; install it with `pip install "kerascope[optuna]"`.

    The sampler learns from the trials of finished rounds, which it is told in the order
    of their numbers:

    - A completed trial has its score.
    - A pruned trial has the score and the number of epochs that it has reached.
    - A diverged trial has an infinitely bad score.
    - A failed trial is told as failed. Samplers ignore it.
    - Values that `build` did not read are left out.

    The proposals for a trial depend only on the sampler, the seed of the search, the
    number of the trial, and the trials of finished rounds. When a search continues, the
    proposals for all earlier trials are repeated, so that all further proposals are the
    same as without the interruption. The seed of the sampler itself is replaced.

    The first trials are `initial_trials` and a trial with the defaults, as in all
    searches. If the sampler proposes values that have been tried before, random values
    are drawn instead.

    Args:
        hypermodel: See `RandomSearch`.
        objective: See `RandomSearch`.
        max_trials: Integer >= 1, the maximum number of trials. Defaults to `20`.
        sampler: Optuna sampler, such as `optuna.samplers.TPESampler()`, `GPSampler()`
            or `CmaEsSampler()`. It is copied. Samplers that decide when a search ends,
            such as `GridSampler`, are not supported. Constraints are ignored. Defaults
            to `None`, which means `TPESampler()` (Bergstra et al., "Algorithms for
            Hyper-Parameter Optimization", 2011).
        trials_per_round: Integer >= 1, the number of trials that are proposed before
            the sampler learns their outcomes. Defaults to `1`.
        **options: Other arguments of `RandomSearch`.

    Raises:
        ImportError: If Optuna is not installed.
        ValueError: If an argument is invalid, or if the folder contains a search that
            was started with different settings, including those of the sampler.

    Example:

    >>> import tempfile
    >>> import optuna
    >>> from tuning import OptunaSearch
    >>> class Parabola(OptunaSearch):
    ...     def run_trial(self, trial, *args, **kwargs):
    ...         x = trial.hyperparameters.Float("x", 0.0, 1.0)
    ...         return (x - 0.3) ** 2
    >>> sampler = optuna.samplers.TPESampler(n_startup_trials=5)
    >>> folder = tempfile.mkdtemp()
    >>> search = Parabola(max_trials=30, sampler=sampler, seed=0, directory=folder)
    >>> search.search(verbose=0)
    >>> scores = search.results().score
    >>> bool(scores[20:].median() < scores[:10].median())
    True
    """

    def __init__(
        self,
        hypermodel: keras_tuner.HyperModel | Callable | None = None,
        objective: str | keras_tuner.Objective | None = None,
        max_trials: int = 20,
        *,
        sampler=None,
        trials_per_round: int = 1,
        **options,
    ):
        self.sampler = _checked(sampler)
        self.trials_per_round = check_integer(
            "trials_per_round", trials_per_round, minimum=1
        )
        super().__init__(hypermodel, objective, max_trials, **options)

    def _make_oracle(self, **settings) -> SamplerOracle:
        return SamplerOracle(
            sampler=self.sampler, trials_per_round=self.trials_per_round, **settings
        )

    def _settings(self) -> dict:
        numbers = {
            name.lstrip("_"): value
            for name, value in vars(self.sampler).items()
            if isinstance(value, str | int | float)
        }
        return {
            **super()._settings(),
            "sampler": {"class": type(self.sampler).__name__, **numbers},
            "trials_per_round": self.trials_per_round,
        }


def _checked(sampler):
    """Returns a sampler that is supported.

    Raises:
        ImportError: If Optuna is not installed.
        ValueError: If the argument is not a supported sampler.
    """
    try:
        from optuna import samplers
    except ImportError as error:
        raise ImportError(
            "`OptunaSearch` needs Optuna, which is not installed. Install it with:\n"
            '  pip install "kerascope[optuna]"'
        ) from error
    if sampler is None:
        return samplers.TPESampler()
    if not isinstance(sampler, samplers.BaseSampler):
        fix = ""
        if isinstance(sampler, type) and issubclass(sampler, samplers.BaseSampler):
            fix = f"Pass an instance: `sampler={sampler.__name__}()`."
        expected = "an Optuna sampler, such as `optuna.samplers.TPESampler()`"
        raise invalid_argument("sampler", expected, sampler, fix)
    if isinstance(sampler, samplers.GridSampler | samplers.BruteForceSampler):
        raise invalid_argument(
            "sampler",
            "a sampler that can propose any number of trials",
            sampler,
            "To try all combinations of a finite space, use `RandomSearch`: it never "
            "repeats a combination, and ends when all have been tried.",
        )
    return sampler
