"""Random search based on KerasTuner."""

import contextlib
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import keras
import keras_tuner

from zoo.utils.arguments import check_choice, invalid_argument

from .interruption import explained_interrupts
from .oracles.discovery import discover_hyperparameters
from .oracles.initial_trials import check_initial_trials
from .oracles.search_oracle import SearchOracle
from .project import Project
from .results.search_results import SearchResults
from .results.texts import conclusions_of, first_error_of
from .search_arguments import check_search_arguments
from .search_settings import fit_settings, search_settings
from .time_budget import TimeBudget
from .training.checkpoints import Checkpoints
from .training.folds import Folds
from .training.garbage_collection import GarbageCollection
from .training.hypermodels import check_hypermodel, returns_history
from .training.trial_outcome import complete, recorded
from .training.trial_runner import TrialRunner
from .training.trial_saves import TrialSaves
from .trials.search_trial import FAILED, SearchTrial


class RandomSearch(SearchResults, keras_tuner.Tuner):
    """Searches for hyperparameters by random sampling.

    This `keras_tuner.Tuner` uses KerasTuner's argument names and guarantees the
    following:

    - Every value comes from its own random stream, which depends only on the seed, the
      trial and the name of the hyperparameter.
    - No two trials have the same values. Values that `build` does not read, such as
      the number of units of a missing layer, are not compared.
    - The first trials are `initial_trials`, followed by a trial with the defaults.
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

    def search(
        self, *fit_args, verbose: int | Literal["auto"] = 1, **fit_kwargs
    ) -> None:
        """Runs the remaining trials.

        Args:
            *fit_args: Arguments of `model.fit`.
            verbose: 0 prints nothing. 1 (or "auto") prints one line per trial and, at
                the end, `importance()` and `edge_warnings()`. 2 also prints one line
                per epoch. Defaults to `1`.
            **fit_kwargs: Arguments of `model.fit`. Arguments whose values are numbers,
                booleans or strings, such as `epochs`, become settings of the search.

        Raises:
            ValueError: If the settings differ from those of the existing search, if the
                objective is not in the logs, or if the data cannot be split into folds.
            RuntimeError: If another search is running in the folder, or if all trials
                or too many trials in a row fail.
            KeyboardInterrupt: After Ctrl-C. Unless it is caught, it ends the program
                with a line that says how to continue the search.
        """
        verbose = 1 if verbose == "auto" else verbose
        check_choice("verbose", verbose, (0, 1, 2))
        self.oracle.verbose = verbose
        with self._project.locked(), contextlib.ExitStack() as stack:
            self._project.remove_partial_files()
            self._checkpoints.look()
            self.oracle.reload()
            self._saves.remove(self._finished())  # a killed search may have left them
            has_trained = any(trial.status != FAILED for trial in self._finished())
            self._project.check_fit(fit_settings(fit_kwargs), has_trained)
            used = sum(trial.seconds for trial in self._finished())
            self._budget = TimeBudget(self.time_budget, used)
            self._runner = self._make_runner(fit_args, fit_kwargs, verbose)
            for trial in self._completed():
                self._runner.learn(trial)
            self.oracle.is_out_of_time = self._budget.is_used_up
            self.oracle.on_search_begin()
            self.oracle.progress.on_search_begin(self._project.folder)
            stack.callback(self._write_tables)
            stack.enter_context(self._garbage)
            with explained_interrupts(self._project.folder), first_error_of(self):
                super().search(*fit_args, **fit_kwargs)
            is_cut_off = self._budget.is_used_up() and self.oracle.remaining_trials()
            if is_cut_off and self.time_budget is not None:
                self.oracle.progress.on_out_of_time(self.time_budget)
            self.oracle.progress.on_search_end(lambda: conclusions_of(self))

    def run_trial(self, trial: SearchTrial, *fit_args, **fit_kwargs) -> list:
        """Trains the model of a trial once per execution or fold.

        Subclasses can override this method. The override may return anything that
        KerasTuner allows: a number, a dict of metrics, a `History`, or a list of these.

        Returns:
            A list with the score of each execution.
        """
        return self._runner.run(trial, fit_args, fit_kwargs)

    def on_trial_end(self, trial: SearchTrial) -> None:
        """Records a finished trial, and deletes weights that are no longer needed.

        Only the weights of the best trials are kept. A trial that ran out of time is
        not recorded but released, so that it can be repeated later.
        """
        if not trial.is_finished:
            self.oracle.release(trial)
            return
        try:
            self._runner.learn(trial)
            self.oracle.end_trial(trial)
            self._saves.remove([trial])
        finally:
            best = self.oracle.get_best_trials(self.checkpoints)
            self._checkpoints.keep_only(best)

    def load_model(self, trial: SearchTrial) -> keras.Model:
        """Returns the model of a trial with the weights of its best epoch."""
        return self._checkpoints.load(trial, self.hypermodel.build)

    def get_state(self) -> dict:
        return {}

    def save(self) -> None:
        """Does nothing, because each trial is saved in its own file."""

    def reload(self) -> None:
        """Reads all trials from the folder of the search."""
        self.oracle.reload()

    def _populate_initial_space(self) -> None:
        if self.hypermodel is not None:
            discover_hyperparameters(self.hypermodel, self.oracle)

    def _make_oracle(self, **settings) -> SearchOracle:
        return SearchOracle(trials_per_round=settings["max_trials"], **settings)

    def _make_runner(self, args: tuple, kwargs: dict, verbose: int) -> TrialRunner:
        folds = None
        if self.folds is not None:
            folds = Folds(self.folds, self.oracle.seed, args, kwargs)
        return TrialRunner(
            self,
            self._checkpoints,
            self._garbage,
            folds,
            self._saves if self.resume_trials else None,
            prune=self.prune,
            is_out_of_time=self._budget.is_used_up,
            verbose=verbose,
        )

    def _settings(self) -> dict:
        return search_settings(self)

    def _try_run_and_update_trial(self, trial, *fit_args, **fit_kwargs) -> None:
        with recorded(trial):
            results = self.run_trial(trial, *fit_args, **fit_kwargs)
            self.oracle.check_given(trial)
            metrics = complete(trial, results, self.oracle.objective)
            self.oracle.update_trial(trial.trial_id, metrics, trial.best_step)

    def _write_tables(self) -> None:
        self._project.write_table("results", self.results())
        self._project.write_table("history", self.history())
