"""Random search based on KerasTuner."""

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import keras_tuner

from zoo.utils.arguments import invalid_argument

from .oracles.initial_trials import check_initial_trials
from .oracles.search_oracle import SearchOracle
from .project import Project
from .search_arguments import check_search_arguments
from .search_settings import search_settings
from .training.checkpoints import Checkpoints
from .training.garbage_collection import GarbageCollection
from .training.hypermodels import check_hypermodel, returns_history
from .training.trial_saves import TrialSaves
from .trial_search import TrialSearch


class RandomSearch(TrialSearch):
    """Searches for hyperparameters by random sampling.

    This `keras_tuner.Tuner` uses KerasTuner's argument names and guarantees the
    following:

    - Every value comes from its own random stream, which depends only on the seed, the
      trial and the name of the hyperparameter.
    - No two trials have the same values. Values that `build` does not read, such as
      the number of units of a missing layer, are not compared.
    - The first trials are `initial_trials`, followed by a trial with the defaults. A
      hyperparameter without `default=` has its lower bound or first value as default.
    - If a range differs between builds, for example because its bounds depend on the
      value of another hyperparameter, an error shows both ranges.
    - Finished trials are not lost if the process is killed. To continue the search,
      run the same program again. If the settings differ from the original ones, an
      error lists the differences.
    - A trial that raises an exception is recorded as failed. A trial whose loss or
      objective is not finite stops after that epoch and is recorded as diverged.
      Neither kind of trial can be the best trial.
    - The history of every execution is kept, with the metrics of each epoch.

    The score of a trial is the best value of the objective over its epochs, as in
    KerasTuner. With several executions or folds, the mean of their scores is used. Each
    execution starts from its own random seed (`keras.utils.set_random_seed`), so that a
    search with a seed is reproducible.

    If only a few hyperparameters matter, random search is better than grid search,
    because n trials test n different values of each hyperparameter (Bergstra & Bengio,
    "Random Search for Hyper-Parameter Optimization", 2012, section 3).

    Args:
        hypermodel: `keras_tuner.HyperModel`, such as `tuning.MLPSpace`, or a function
            that builds a compiled model from `hp`. Can be `None` if a subclass
            overrides `run_trial`. Defaults to `None`.
        objective: Name of a metric in the logs; a `keras_tuner.Objective`, which also
            sets the direction; or a list of these. For a list, the sum of the metrics
            is minimized, and metrics to maximize are subtracted. Defaults to `None`,
            which means that `run_trial` or the hypermodel's `fit` returns a number to
            minimize.
        max_trials: Integer >= 1, the maximum number of trials. Increase it to continue
            a finished search. Defaults to `20`.
        seed: Integer >= 0. Defaults to `None`, which means a random seed that is stored
            with the search.
        hyperparameters: `keras_tuner.HyperParameters` whose ranges override those of
            the hypermodel. Defaults to `None`.
        initial_trials: Dicts that map hyperparameter names to values, one for each of
            the first trials. Hyperparameters missing from a dict get their defaults.
            Defaults to `()`.
        executions_per_trial: Integer >= 1, the number of training runs per trial.
            Defaults to `1`.
        folds: Integer >= 2, the number of cross-validation folds. Each trial trains
            once per fold, and uses that fold of the training data as validation data.
            Multiple inputs and `sample_weight` are split in the same way. If the
            labels are integers and each class has at least `folds` examples, the folds
            are stratified by class. Defaults to `None`.
        prune: Whether to stop a trial whose best value is worse than the median of the
            completed trials at the same epoch (see `tuning.training.median_rule`).
            Defaults to `False`.
        time_budget: Number of seconds after which the search ends. The time of trials
            that were finished in earlier calls to `search` is included. An interrupted
            trial is repeated if the search continues with a larger budget. Defaults to
            `None`.
        checkpoints: Integer >= 0, the number of best trials whose weights are kept.
            Defaults to `3`.
        max_consecutive_failed_trials: Integer >= 1. If this many trials in a row raise
            an exception, the search ends with an error. Diverged trials do not affect
            the count. Defaults to `3`.
        resume_trials: Whether to save the training run of the current trial at the end
            of every epoch, on SIGTERM and on SIGINT. An interrupted trial is then
            resumed there instead of being repeated (see `callbacks.ResumeTraining`).
            This requires a hypermodel with the `fit` of KerasTuner or of
            `tuning.spaces`. Defaults to `False`.
        max_model_size: Maximum number of parameters. A trial with a larger model fails
            without training. The check applies only to models that are already built
            when the hypermodel returns them. Defaults to `None`.
        directory: Folder that contains the folders of all searches. Defaults to `None`,
            which means the current folder.
        project_name: Name of the folder of this search in `directory`. Defaults to
            `None`, which means "untitled_project".
        overwrite: Whether to remove an existing search in this folder instead of
            continuing it. Defaults to `False`.

    Raises:
        ValueError: If an argument is invalid, or if the folder contains a search that
            was started with different settings.
        RuntimeError: If another search is running in the folder. `search` also raises
            this error if too many trials in a row fail.

    Example:

    >>> import tempfile
    >>> from tuning import RandomSearch
    >>> def build(hp):
    ...     rate = hp.Float("learning_rate", 1e-4, 1.0, sampling="log", default=0.01)
    ...     model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    ...     model.compile(keras.optimizers.SGD(rate), "mse")
    ...     return model
    >>> folder = tempfile.mkdtemp()
    >>> search = RandomSearch(build, "loss", max_trials=4, seed=0, directory=folder)
    >>> x = np.ones((8, 1))
    >>> search.search(x, 2 * x, epochs=2, verbose=0)
    >>> search.results()[["trial", "status", "learning_rate"]].round(4)
       trial     status  learning_rate
    0      0  completed         0.0100
    1      1  completed         0.0237
    2      2  completed         0.0065
    3      3  completed         0.0034
    >>> model = search.best_model()
    """

    def __init__(
        self,
        hypermodel: keras_tuner.HyperModel | Callable | None = None,
        objective: str | keras_tuner.Objective | None = None,
        max_trials: int = 20,
        *,
        seed: int | None = None,
        hyperparameters: keras_tuner.HyperParameters | None = None,
        initial_trials: Sequence[dict] = (),
        executions_per_trial: int = 1,
        folds: int | None = None,
        prune: bool = False,
        time_budget: float | None = None,
        checkpoints: int = 3,
        max_consecutive_failed_trials: int = 3,
        resume_trials: bool = False,
        max_model_size: int | None = None,
        directory: str | os.PathLike | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
    ):
        is_needed = type(self).run_trial is RandomSearch.run_trial
        check_hypermodel(hypermodel, is_required=is_needed)
        if objective is None and is_needed and returns_history(hypermodel):
            raise invalid_argument(
                "objective", "a name in the logs, such as 'val_accuracy'", objective
            )
        if resume_trials and not (is_needed and returns_history(hypermodel)):
            expected = "False if `run_trial` or the hypermodel's `fit` is overridden"
            raise invalid_argument("resume_trials", expected, resume_trials)
        check_search_arguments(
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            executions_per_trial=executions_per_trial,
            folds=folds,
            prune=prune,
            time_budget=time_budget,
            checkpoints=checkpoints,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
            resume_trials=resume_trials,
            max_model_size=max_model_size,
            directory=directory,
            project_name=project_name,
            overwrite=overwrite,
        )
        self.folds = folds
        self.prune = prune
        self.time_budget = time_budget
        self.checkpoints = checkpoints
        self.resume_trials = resume_trials
        oracle = self._make_oracle(
            objective=objective,
            max_trials=max_trials,
            seed=seed,
            hyperparameters=hyperparameters,
            max_consecutive_failed_trials=max_consecutive_failed_trials,
        )
        super().__init__(
            oracle,
            hypermodel,
            max_model_size=max_model_size,
            directory=None if directory is None else str(directory),
            project_name=project_name,
            executions_per_trial=executions_per_trial,
        )
        self.oracle.initial = check_initial_trials(
            initial_trials, self.hypermodel, self.oracle
        )
        self._project = Project(Path(self.project_dir))
        self._checkpoints = Checkpoints(self._project.folder, checkpoints)
        self._saves = TrialSaves(self._project.folder)
        self._garbage = GarbageCollection()
        if seed is None:
            self.oracle.seed = self._project.seed(overwrite)
        self._project.open(self._settings(), overwrite)
        self.oracle.reload()

    def _make_oracle(self, **settings) -> SearchOracle:
        return SearchOracle(trials_per_round=settings["max_trials"], **settings)

    def _settings(self) -> dict:
        return search_settings(self)
