"""Search that runs trials, one by one or in workers, and records them."""

import contextlib
from typing import Literal

import keras
import keras_tuner

from zoo.utils.arguments import check_choice

from .interruption import explained_interrupts
from .oracles.discovery import discover_hyperparameters
from .oracles.search_oracle import SearchOracle
from .project import Project
from .results.search_results import SearchResults
from .results.texts import conclusions_of, first_error_of
from .search_settings import fit_settings
from .time_budget import TimeBudget
from .training.checkpoints import Checkpoints
from .training.fit_data import made_data
from .training.folds import Folds
from .training.garbage_collection import GarbageCollection
from .training.search_keywords import check_keywords
from .training.trial_outcome import run_recorded
from .training.trial_runner import TrialRunner
from .training.trial_saves import TrialSaves
from .trials.search_trial import FAILED, SearchTrial
from .workers.parallel_trials import ParallelTrials
from .workers.sent_search import pack_search
from .workers.worker_settings import worker_settings


class TrialSearch(SearchResults, keras_tuner.Tuner):
    """Base class of the searches, which runs the trials that an oracle proposes.

    Attributes:
        folds: Number of cross-validation folds, or `None`.
        prune: Whether to stop training runs that perform worse than the median.
        time_budget: Number of seconds after which the search ends, or `None`.
        checkpoints: Number of best trials whose weights are kept.
        resume_trials: Whether to save the training runs of interrupted trials.
    """

    oracle: SearchOracle
    folds: int | None
    prune: bool
    time_budget: float | None
    checkpoints: int
    resume_trials: bool
    _project: Project
    _checkpoints: Checkpoints
    _saves: TrialSaves
    _garbage: GarbageCollection

    def search(
        self,
        *fit_args,
        verbose: int | Literal["auto"] = 1,
        workers: int | Literal["auto"] | None = None,
        executor=None,
        gpus_per_trial: float | None = None,
        **fit_kwargs,
    ) -> None:
        """Runs the remaining trials.

        With `workers` or `executor`, several trials run at the same time. The values
        of the trials are the same with any number of workers, because a round begins
        when all trials of the previous round have ended. With `prune`, it depends on
        the timing which trials are pruned. Everything that workers need is pickled,
        and changes that `run_trial` makes to `self` are lost. A trial whose worker
        dies is run again; after three deaths it is recorded as failed.

        Args:
            *fit_args: Arguments of `model.fit`. Instead of data, you can pass a
                function without arguments that returns the data of a training run.
                With workers, this is required for a `tf.data.Dataset` that does not
                come from `zoo.datasets.load`.
            verbose: 0 prints nothing. 1 (or "auto") prints one line per trial and, at
                the end, `importance()` and `edge_warnings()`. 2 also prints one line
                per epoch. Defaults to `1`.
            workers: Integer >= 1, the number of trials that run at the same time, each
                in a process of its own on this machine; or "auto" for one per GPU or,
                without GPUs, one per core. It can be different in each call. Defaults
                to `None`: the trials run one by one in this process or, with
                `executor`, on all of its workers.
            executor: A `distributed.Client` of Dask, or a
                `concurrent.futures.Executor`, in whose workers the trials run. With
                the latter, `workers` is required. Defaults to `None`.
            gpus_per_trial: Number of GPUs of each worker: an integer >= 0, or a
                fraction such as 0.5 to share a GPU. Each worker sees only its own
                GPUs. Defaults to `None`: 1 if there are GPUs, otherwise 0.
            **fit_kwargs: Arguments of `model.fit`. Arguments whose values are numbers,
                booleans or strings, such as `epochs`, become settings of the search. If
                you override `run_trial` or the hypermodel's `fit`, the arguments are
                passed to that method, and may be any in its signature.

        Raises:
            TypeError: If a keyword argument is misspelled, or if the first trial does
                not accept it.
            ValueError: If the settings differ from those of the existing search, if the
                objective is not in the logs, if the data cannot be split into folds, or
                if something that workers need cannot be pickled.
            RuntimeError: If another search is running in the folder, if all trials or
                too many trials in a row fail, or if the executor breaks.
            KeyboardInterrupt: After Ctrl-C. Unless it is caught, it ends the program
                with a line that says how to continue the search.
        """
        has_own_trial = type(self).run_trial is not TrialSearch.run_trial
        check_keywords(self, fit_kwargs, has_own_trial=has_own_trial)
        verbose = 1 if verbose == "auto" else verbose
        check_choice("verbose", verbose, (0, 1, 2))
        self.oracle.verbose = verbose
        settings = worker_settings(workers, executor, gpus_per_trial)
        with self._project.locked(), contextlib.ExitStack() as stack:
            self._look(fit_kwargs)
            folds = self._make_folds(fit_args, fit_kwargs)
            self._runner = self._make_runner(folds, verbose)
            for trial in self._completed():
                self._runner.learn(trial)
            self.oracle.is_out_of_time = self._budget.is_used_up
            self.oracle.on_search_begin()
            stack.callback(self._write_tables)
            stack.enter_context(explained_interrupts(self._project.folder))
            stack.enter_context(first_error_of(self))
            if settings is None:
                self.oracle.progress.on_search_begin(self._project.folder)
                with self._garbage:
                    super().search(*fit_args, **fit_kwargs)
            else:
                self._run_parallel(
                    settings.crew(
                        pack_search(self, fit_args, fit_kwargs, folds, verbose),
                        self._project.folder,
                    )
                )
            is_cut_off = self._budget.is_used_up() and self.oracle.remaining_trials()
            if is_cut_off and self.time_budget is not None:
                self.oracle.progress.on_out_of_time(self.time_budget)
        self.oracle.progress.on_search_end(lambda: conclusions_of(self))

    def _run_parallel(self, crew) -> None:
        """Runs the trials in the workers of a crew, and then closes it."""
        with contextlib.closing(crew):
            self.oracle.progress.on_search_begin(self._project.folder, crew.size)
            ParallelTrials(
                self, crew, self._runner, self._budget, self._checkpoints
            ).run()

    def _look(self, fit_kwargs: dict) -> None:
        """Reads the folder of the search, and removes what killed processes left."""
        self._project.remove_partial_files()
        self._checkpoints.look()
        self.oracle.reload()
        finished = self.oracle.book.finished()
        self._saves.remove(finished)
        has_trained = any(trial.status != FAILED for trial in finished)
        self._project.check_fit(fit_settings(fit_kwargs), has_trained)
        used = max((trial.elapsed for trial in finished), default=0.0)
        self._budget = TimeBudget(self.time_budget, used)

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
            trial.elapsed = self._budget.elapsed()
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

    def _make_folds(self, args: tuple, kwargs: dict) -> Folds | None:
        if self.folds is None:
            return None
        return Folds(self.folds, self.oracle.seed, *made_data(args, kwargs))

    def _make_runner(self, folds: Folds | None, verbose: int) -> TrialRunner:
        return TrialRunner(
            self,
            self._checkpoints,
            self._garbage,
            folds,
            self._saves if self.resume_trials else None,
            prune=self.prune,
            is_out_of_time=self._budget.is_used_up,
            score_to_beat=self._score_to_beat,
            verbose=verbose,
        )

    def _score_to_beat(self) -> float | None:
        best = self.oracle.get_best_trials(self.checkpoints)
        return best[-1].score if best and len(best) >= self.checkpoints else None

    def _try_run_and_update_trial(self, trial, *fit_args, **fit_kwargs) -> None:
        run_recorded(self, trial, fit_args, fit_kwargs)

    def _write_tables(self) -> None:
        self._project.write_table("results", self.results())
        self._project.write_table("history", self.history())
