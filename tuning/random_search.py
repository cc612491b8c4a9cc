"""Random search on the engine of KerasTuner."""

import contextlib
import math
import os
import time
import traceback
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import keras_tuner
import numpy as np
from keras_tuner import errors

from zoo.utils.arguments import (
    check_choice,
    check_integer,
    check_positive,
    invalid_argument,
)
from zoo.utils.files import replacing

from .checkpoints import Checkpoints
from .execution import Execution, TrialEnd, objective_value
from .exploration import explore
from .folds import Folds
from .garbage_collection import GarbageCollection
from .hooks import HOOKS, Hooks
from .initial_trials import check_initial_trials
from .median_rule import MedianRule
from .probability import key_of
from .project import Project
from .results import SearchResults
from .search_oracle import SearchOracle
from .search_trial import COMPLETED, DIVERGED, FAILED, PRUNED, SearchTrial
from .streams import seed as seed_of


class RandomSearch(SearchResults, keras_tuner.Tuner):
    """Searches for hyperparameters by random draws.

    A `keras_tuner.Tuner`, whose arguments are called as in KerasTuner, and which can
    be relied on:

    - Every value is drawn from a stream of its own, a function of the seed, the trial
      and the name of the hyperparameter. No two trials are the same: the values that a
      model does not ask for, such as the units of layers that it lacks, do not count.
      The first ones are `initial_trials`, then the defaults.
    - A range that differs from one build to the next, as its bounds depend on another
      value, is an error that names both.
    - What is finished is safe, whenever the process is killed: the same program goes
      on where it ended. Settings that differ from those that the search was begun
      with are an error that names them.
    - A trial that raises is recorded as failed; one whose loss or objective is not
      finite as diverged, which ends it at once. Neither is ever the best.
    - The curves of all epochs of all executions are kept.

    The score of a trial is the best value of the objective over its epochs, as in
    KerasTuner; with several executions or folds the mean of theirs. Each execution
    begins with a random seed of its own (`keras.utils.set_random_seed`), so that a
    search with a seed can be repeated.

    Random search is better than a grid where few hyperparameters matter (Bergstra &
    Bengio, "Random Search for Hyper-Parameter Optimization", 2012, section 3): n
    trials try n values of each.

    Args:
        hypermodel: `keras_tuner.HyperModel`, as `tuning.MLPSpace`, or a function that
            builds a compiled model from `hp`. May be `None` where a subclass has a
            `run_trial` of its own. Defaults to `None`.
        objective: Name of a metric in the logs, or a `keras_tuner.Objective`, which
            says whether to minimize it, or a list of these, whose sum is minimized,
            with a minus before those to maximize. Defaults to `None`: `run_trial` or
            the hypermodel's `fit` returns a number to minimize.
        max_trials: Integer >= 1. A search can be gone on with by a greater number.
            Defaults to `20`.
        seed: Integer >= 0. Defaults to `None`: a random one, kept with the search.
        hyperparameters: `keras_tuner.HyperParameters` with ranges that take the place
            of the hypermodel's. Defaults to `None`.
        initial_trials: Dicts of values by name that are tried first; what one leaves
            out has its default. Defaults to `()`.
        executions_per_trial: Integer >= 1: trainings of each trial. Defaults to `1`.
        folds: Integer >= 2: each trial is validated on so many parts of the training
            data in turn, and trained on the rest; several inputs and
            `sample_weight` are cut alike. Classes are spread evenly. Defaults to
            `None`.
        prune: Whether to end a trial whose best value is worse than the median of the
            completed ones at the same epoch (see `tuning.median_rule`). Defaults to
            `False`.
        time_budget: Seconds after which the search ends, of all calls of `search`
            together. A trial that is cut off is repeated by a search with a greater
            budget. Defaults to `None`.
        checkpoints: Integer >= 0: number of best trials whose weights are kept.
            Defaults to `3`.
        max_consecutive_failed_trials: Integer >= 1. After so many trials in a row
            that raised, the search ends with an error. Divergences do not count.
            Defaults to `3`.
        max_model_size: Number of parameters above which a trial fails, untrained.
            Defaults to `None`.
        directory: Folder of searches. Defaults to `None`, the current one.
        project_name: Folder of this search, inside it. Defaults to `None`, which is
            "untitled_project".
        overwrite: Whether to remove what an earlier search of this name has left,
            instead of going on with it. Defaults to `False`.

    Raises:
        ValueError: If an argument is invalid, or the folder holds a search that was
            begun with other settings.
        RuntimeError: In `search`, if another search is running in the folder, or too
            many trials in a row have failed.

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
        max_model_size: int | None = None,
        directory: str | os.PathLike | None = None,
        project_name: str | None = None,
        overwrite: bool = False,
    ):
        is_needed = type(self).run_trial is RandomSearch.run_trial
        _check_hypermodel(hypermodel, is_needed=is_needed)
        if objective is None and is_needed and _returns_history(hypermodel):
            raise invalid_argument(
                "objective", "a name in the logs, as 'val_accuracy'", objective
            )
        check_integer("max_trials", max_trials, minimum=1)
        check_integer("executions_per_trial", executions_per_trial, minimum=1)
        check_integer("checkpoints", checkpoints, minimum=0)
        check_integer(
            "max_consecutive_failed_trials", max_consecutive_failed_trials, minimum=1
        )
        check_choice("prune", prune, (False, True))
        check_choice("overwrite", overwrite, (False, True))
        if hyperparameters is not None and not isinstance(
            hyperparameters, keras_tuner.HyperParameters
        ):
            expected = "a keras_tuner.HyperParameters"
            raise invalid_argument("hyperparameters", expected, hyperparameters)
        for name, path in (("directory", directory), ("project_name", project_name)):
            if path is not None and not isinstance(path, str | os.PathLike):
                raise invalid_argument(name, "a path", path)
        if seed is not None:
            check_integer("seed", seed, minimum=0)
        if time_budget is not None:
            check_positive("time_budget", time_budget)
        if max_model_size is not None:
            check_integer("max_model_size", max_model_size, minimum=1)
        if folds is not None:
            check_integer("folds", folds, minimum=2)
            if executions_per_trial > 1:
                expected = "1 with `folds`, each of which is an execution"
                raise invalid_argument(
                    "executions_per_trial", expected, executions_per_trial
                )
        self.folds = folds
        self.prune = prune
        self.time_budget = time_budget
        self.checkpoints = checkpoints
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
        self._garbage = GarbageCollection()
        if seed is None:
            self.oracle.seed = self._project.seed(overwrite)
        self._project.open(self._settings(), overwrite)
        self.oracle.reload()
        self._verbose = 0

    def search(self, *fit_args, verbose: int | str = 1, **fit_kwargs) -> None:
        """Runs the trials that are left.

        Args:
            *fit_args: Arguments of `model.fit`.
            verbose: 0 prints nothing, 1 (or "auto") a line for each trial, 2 that and
                a line for each epoch. Defaults to `1`.
            **fit_kwargs: Arguments of `model.fit`. Numbers and strings among them, as
                `epochs`, are settings of the search.

        Raises:
            ValueError: If the settings differ from those that the search was begun
                with, the objective is not in the logs, or the data cannot be cut into
                folds.
            RuntimeError: If another search is running in the folder, or too many
                trials in a row have failed.
        """
        verbose = 1 if verbose == "auto" else verbose
        check_choice("verbose", verbose, (0, 1, 2))
        self._verbose = self.oracle.verbose = verbose
        with self._project.locked(), contextlib.ExitStack() as stack:
            self._project.remove_partial_files()
            self._checkpoints.look()
            self.oracle.reload()
            self._check_fit_settings(fit_kwargs)
            self._folds = None
            if self.folds is not None:
                self._folds = Folds(self.folds, self.oracle.seed, fit_args, fit_kwargs)
            self._rules = {}
            for trial in self._completed():
                self._learn_curves(trial)
            self._used = sum(trial.seconds for trial in self._finished())
            self._began = time.monotonic()
            self.oracle.is_out_of_time = self._is_out_of_time
            self.oracle.on_search_begin()
            self.oracle._display.on_search_begin(self._project.folder)
            stack.callback(self._write_tables)
            stack.enter_context(self._garbage)
            super().search(*fit_args, **fit_kwargs)
            if self._is_out_of_time() and self.oracle.remaining_trials():
                self.oracle._display.on_out_of_time(self.time_budget)

    def run_trial(self, trial: SearchTrial, *fit_args, **fit_kwargs) -> list:
        """Trains the model of a trial, as often as asked for.

        A subclass may do something else, and return what KerasTuner allows: a number,
        a dict of metrics, a `History`, or a list of these.
        """
        original = fit_kwargs.pop("callbacks", None) or []
        results, best = [], None
        for index in range(self.folds or self.executions_per_trial):
            keras.utils.set_random_seed(
                seed_of(self.oracle.seed, trial.number, "execution", index)
            )
            execution = Execution(
                self.oracle.objective,
                self._rule(index).reason if self.prune else None,
                self._is_out_of_time,
                must_be_logged=self._must_be_logged(fit_kwargs),
            )
            callbacks = self._callbacks(original, trial, index)
            args, kwargs = self._fit_arguments(index, fit_args, fit_kwargs)
            score = None
            try:
                model = self._try_build(trial.hyperparameters)
                result = self.hypermodel.fit(
                    trial.hyperparameters,
                    model,
                    *args,
                    **{"verbose": 2 if self._verbose == 2 else 0, **kwargs},
                    callbacks=[*callbacks, execution],
                )
                score = self._score(result, execution)
            finally:
                trial.executions.append(execution.record(score))
            results.append(score)
            if best is None or self.oracle.objective.better_than(score, best[0]):
                best = (score, execution.best_weights)
        if self._is_among_best(float(np.mean(results))):
            # Before the trial is recorded, which promises them.
            if best[1] is not None:
                model.set_weights(best[1])
            self._checkpoints.save(trial, model)
        return results

    def on_trial_end(self, trial: SearchTrial) -> None:
        """Records a trial, and removes the weights of those that are no longer best."""
        if not trial.is_finished:
            self.oracle.release(trial)
            return
        try:
            self._learn_curves(trial)
            self.oracle.end_trial(trial)
        finally:
            best = self.oracle.get_best_trials(self.checkpoints)
            self._checkpoints.keep_only(best)

    def load_model(self, trial: SearchTrial) -> keras.Model:
        """Returns the model of a trial, with the weights of its best epoch."""
        return self._checkpoints.load(trial, self._build_hypermodel)

    def get_state(self) -> dict:
        return {}

    def save(self) -> None:
        """Does nothing, since a file for each trial is all there is to save."""

    def reload(self) -> None:
        """Reads all trials from the folder."""
        self.oracle.reload()

    def _try_build(self, hp) -> keras.Model:
        """Returns the model of a trial, after the last one's memory is free."""
        self._garbage.collect()
        model = self._build_hypermodel(hp)
        if not isinstance(model, keras.Model):
            raise errors.FatalTypeError(
                "Expected a keras.Model from `build` of the hypermodel. Received: "
                f"{model!r}"
            )
        size = model.count_params() if model.built else 0
        if self.max_model_size is not None and size > self.max_model_size:
            raise errors.FailedTrialError(
                f"The model has {size} parameters, and max_model_size is "
                f"{self.max_model_size}"
            )
        return model

    def _populate_initial_space(self) -> None:
        if self.hypermodel is not None:
            explore(self.hypermodel, self.oracle)

    def _make_oracle(self, **settings) -> SearchOracle:
        return SearchOracle(trials_per_round=settings["max_trials"], **settings)

    def _settings(self) -> dict:
        """What makes this search the one that it is."""
        oracle = self.oracle
        return {
            "search": type(self).__name__,
            "objective": oracle.objective.name,
            "direction": oracle.objective.direction,
            "objectives": getattr(oracle.objective, "name_to_direction", {}),
            "seed": oracle.seed,
            "executions_per_trial": self.executions_per_trial,
            "folds": self.folds,
            "prune": self.prune,
            "initial_trials": list(oracle.initial[:-1]),
            "space": {
                key_of(hp): {"type": type(hp).__name__, **hp.get_config()}
                for hp in oracle.hyperparameters.space
            },
            "hypermodel": getattr(self.hypermodel, "settings", {}),
        }

    def _check_fit_settings(self, fit_kwargs: dict) -> None:
        """Raises if trials were trained with other arguments of `fit`."""
        here = {
            name: value
            for name, value in fit_kwargs.items()
            if isinstance(value, str | int | float | bool)
        }
        contents = self._project.read()
        has_trained = any(trial.status != FAILED for trial in self._finished())
        if "fit" not in contents or not has_trained:
            self._project.write({**contents, "fit": here})
        else:
            self._project.check_same({"fit": contents["fit"]}, {"fit": here})

    def _fit_arguments(self, index: int, args: tuple, kwargs: dict) -> tuple:
        """The arguments of `fit` of an execution: those given, or those of a fold."""
        if self._folds is None:
            return args, kwargs
        return self._folds.arguments(index, kwargs)

    def _callbacks(self, original: list, trial: SearchTrial, index: int) -> list:
        callbacks = self._deepcopy_callbacks(original)
        if any(type(each).__name__ == "TensorBoard" for each in callbacks):
            with trial.hyperparameters.values.unrecorded_reads():
                self._configure_tensorboard_dir(callbacks, trial, index)
        overridden = [
            hook
            for hook in HOOKS
            if getattr(type(self), hook) is not getattr(keras_tuner.Tuner, hook)
        ]
        return [*callbacks, Hooks(self, trial)] if overridden else callbacks

    def _must_be_logged(self, fit_kwargs: dict) -> bool:
        """Whether the first epoch already shows that the objective is missing."""
        is_every_epoch = fit_kwargs.get("validation_freq", 1) == 1
        return is_every_epoch and _returns_history(self.hypermodel)

    def _learn_curves(self, trial: SearchTrial) -> None:
        """Adds the curves of a completed trial to those that prune others."""
        name = self.oracle.objective.name
        if self.prune and trial.status == COMPLETED:
            for index, execution in enumerate(trial.executions):
                self._rule(index).add(execution["history"].get(name, []))

    def _rule(self, index: int) -> MedianRule:
        return self._rules.setdefault(index, MedianRule(self.oracle.objective))

    def _is_out_of_time(self) -> bool:
        if self.time_budget is None:
            return False
        return self._used + time.monotonic() - self._began > self.time_budget

    def _score(self, result, execution: Execution) -> float:
        """The score of an execution, or the end of the trial that has none."""
        if execution.diverged:
            raise TrialEnd(DIVERGED, execution.diverged)
        if execution.was_pruned:
            raise TrialEnd(PRUNED, execution.was_pruned)
        if execution.was_interrupted:
            raise TrialEnd(None, "the time budget is used up")
        if isinstance(result, keras.callbacks.History) and execution.best is not None:
            return execution.best
        return objective_value(result, self.oracle.objective)

    def _try_run_and_update_trial(self, trial, *fit_args, **fit_kwargs) -> None:
        began = time.monotonic()
        try:
            results = self.run_trial(trial, *fit_args, **fit_kwargs)
            self.oracle.check_given(trial)
            self._complete(trial, results)
        except errors.FatalError:
            raise
        except TrialEnd as end:
            if end.status is not None:
                trial.status, trial.error = end.status, str(end)
            if end.status == PRUNED:
                trial.score = float(np.mean([e["best"] for e in trial.executions]))
        except Exception as error:
            trial.status, trial.message = FAILED, traceback.format_exc()
            lines = str(error).strip().splitlines() or [""]
            trial.error = f"{type(error).__name__}: {lines[0]}"
        trial.seconds = time.monotonic() - began

    def _complete(self, trial: SearchTrial, results) -> None:
        results = results if isinstance(results, list) else [results]
        if not trial.executions:  # of a `run_trial` that is not ours
            for result in results:
                history = result if isinstance(result, dict) else {}
                curves = {name: [float(value)] for name, value in history.items()}
                score = objective_value(result, self.oracle.objective)
                record = {"score": score, "best": score, "best_epoch": 0}
                trial.executions.append({**record, "history": curves, "seconds": 0.0})
        trial.score = float(np.mean(trial.scores))
        trial.best_step = int(np.mean([e["best_epoch"] for e in trial.executions]))
        trial.status = COMPLETED
        metrics = {
            name: float(np.mean([_at_best(e, name) for e in trial.executions]))
            for name in trial.executions[0]["history"]
        }
        metrics[self.oracle.objective.name] = trial.score
        self.oracle.update_trial(trial.trial_id, metrics, trial.best_step)

    def _is_among_best(self, score: float) -> bool:
        best = self.oracle.get_best_trials(self.checkpoints)
        if len(best) < self.checkpoints:
            return True
        better_than = self.oracle.objective.better_than
        return bool(best) and better_than(score, best[-1].score)

    def _write_tables(self) -> None:
        tables = {"results": self.results(), "history": self.history()}
        for name, table in tables.items():
            with replacing(self._project.folder / f"{name}.csv") as partial:
                table.to_csv(partial, index=False)


def _check_hypermodel(hypermodel, *, is_needed: bool) -> None:
    if hypermodel is None and not is_needed:
        return
    is_function = callable(hypermodel) and not isinstance(hypermodel, type)
    if not isinstance(hypermodel, keras_tuner.HyperModel) and not is_function:
        expected = "a keras_tuner.HyperModel or a function that builds a model"
        raise invalid_argument("hypermodel", expected, hypermodel)


def _returns_history(hypermodel) -> bool:
    """Whether `fit` of a hypermodel, or of a function, is `model.fit`."""
    if not isinstance(hypermodel, keras_tuner.HyperModel):
        return True
    fit = getattr(hypermodel.fit, "__func__", None)
    is_plain = fit is keras_tuner.HyperModel.fit
    return is_plain or getattr(hypermodel, "returns_history", False)


def _at_best(record: dict, name: str) -> float:
    curve = record["history"].get(name, [math.nan])
    return curve[min(record["best_epoch"], len(curve) - 1)]
