"""Runner that trains the model of a trial once per execution or fold."""

import copy
from collections.abc import Callable

import keras
import keras_tuner
import numpy as np
from keras_tuner import errors

from zoo.utils.arguments import invalid_argument

from ..keras_tuner_internals import configure_tensorboard
from ..random_streams import seed as seed_of
from ..trials.search_trial import COMPLETED, SearchTrial
from .checkpoints import Checkpoints
from .execution import Execution
from .fit_data import made_data
from .folds import Folds
from .garbage_collection import GarbageCollection
from .hypermodels import build_model, returns_history
from .median_rule import MedianRule
from .trial_saves import TrialSaves, fatal_errors
from .tuner_hooks import HOOKS, TunerHooks


class TrialRunner:
    """Trains the models of trials, and saves the weights of the best trials.

    Args:
        tuner: `RandomSearch` that provides the hypermodel and the oracle.
        checkpoints: `Checkpoints` that save the weights.
        garbage: `GarbageCollection` that frees the memory of earlier models.
        folds: Folds of the training data; `None` to train `executions_per_trial` times
            on all training data.
        saves: `TrialSaves` that save and resume training runs, or `None`.
        prune: Whether to stop training runs that perform worse than the median.
        is_out_of_time: Function that returns whether the time budget is used up.
        score_to_beat: Function that returns the worst score among the best trials,
            whose weights are kept, or `None` if there are not enough trials yet.
        verbose: As in `RandomSearch.search`.

    Attributes:
        rules: Dict that maps the index of an execution to its `MedianRule`.
    """

    def __init__(
        self,
        tuner,
        checkpoints: Checkpoints,
        garbage: GarbageCollection,
        folds: Folds | None,
        saves: TrialSaves | None,
        *,
        prune: bool,
        is_out_of_time: Callable[[], bool],
        score_to_beat: Callable[[], float | None],
        verbose: int,
    ):
        self.tuner = tuner
        self.oracle = tuner.oracle
        self.checkpoints = checkpoints
        self.garbage = garbage
        self.folds = folds
        self.saves = saves
        self.prune = prune
        self.is_out_of_time = is_out_of_time
        self.score_to_beat = score_to_beat
        self.verbose = verbose
        self.rules: dict[int, MedianRule] = {}

    def run(self, trial: SearchTrial, args: tuple, kwargs: dict) -> list[float]:
        """Trains the model of a trial once per execution or fold.

        Args:
            trial: Trial to run.
            args: Positional arguments of `fit`.
            kwargs: Keyword arguments of `fit`.

        Returns:
            A list with the score of each execution.

        Raises:
            TrialEnd: If a training run is pruned, diverges or runs out of time.
        """
        callbacks = kwargs.pop("callbacks", None) or []
        scores, best, best_weights = [], None, None
        for index in range(self.tuner.folds or self.tuner.executions_per_trial):
            keras.utils.set_random_seed(
                seed_of(self.oracle.seed, trial.number, "execution", index)
            )
            execution = self._execution(index, kwargs)
            score, model = self._train(trial, index, execution, callbacks, args, kwargs)
            scores.append(score)
            if best is None or self.oracle.objective.better_than(score, best):
                best, best_weights = score, execution.best_weights
        if self._is_among_best(float(np.mean(scores))):
            # Save before the trial is recorded: the best recorded trials must have
            # weights, even if the process is killed.
            if best_weights is not None:
                model.set_weights(best_weights)
            self.checkpoints.save(trial, model)
        return scores

    def learn(self, trial: SearchTrial) -> None:
        """Adds the curves of a completed trial to the median stopping rule."""
        name = self.oracle.objective.name
        if self.prune and trial.status == COMPLETED:
            for index, execution in enumerate(trial.executions):
                self._rule(index).add(execution.history.get(name, []))

    def _execution(self, index: int, kwargs: dict) -> Execution:
        # If validation does not run in every epoch, some epochs may not log the
        # objective.
        is_every_epoch = kwargs.get("validation_freq", 1) == 1
        return Execution(
            self.oracle.objective,
            self._rule(index).reason if self.prune else None,
            self.is_out_of_time,
            must_be_logged=is_every_epoch and returns_history(self.tuner.hypermodel),
            is_saved=self.saves is not None,
        )

    def _train(self, trial, index, execution, callbacks, args, kwargs) -> tuple:
        """Trains a model once, and returns the score and the model."""
        callbacks = [*self._callbacks(callbacks, trial, index), execution]
        if self.saves is not None:
            callbacks = self.saves.wrap(callbacks, trial, index)
        if self.folds is not None:
            args, kwargs = self.folds.arguments(index, kwargs)
        if returns_history(self.tuner.hypermodel):
            args, kwargs = made_data(args, kwargs)
        score = None
        try:
            self.garbage.collect()
            model = build_model(
                self.tuner.hypermodel, trial.hyperparameters, self.tuner.max_model_size
            )
            with fatal_errors():
                result = self.tuner.hypermodel.fit(
                    trial.hyperparameters,
                    model,
                    *args,
                    **{"verbose": 2 if self.verbose == 2 else 0, **kwargs},
                    callbacks=callbacks,
                )
            score = execution.score(result)
        finally:
            trial.executions.append(execution.record(score))
        return score, model

    def _callbacks(self, original: list, trial: SearchTrial, index: int) -> list:
        callbacks = _copies(original)
        if any(type(each).__name__ == "TensorBoard" for each in callbacks):
            with trial.hyperparameters.values.unrecorded_reads():
                configure_tensorboard(self.tuner, callbacks, trial, index)
        overridden = [
            hook
            for hook in HOOKS
            if getattr(type(self.tuner), hook) is not getattr(keras_tuner.Tuner, hook)
        ]
        return [*callbacks, TunerHooks(self.tuner, trial)] if overridden else callbacks

    def _rule(self, index: int) -> MedianRule:
        return self.rules.setdefault(index, MedianRule(self.oracle.objective))

    def _is_among_best(self, score: float) -> bool:
        if self.checkpoints.number == 0:
            return False
        worst = self.score_to_beat()
        return worst is None or self.oracle.objective.better_than(score, worst)


def _copies(callbacks: list) -> list:
    """Copies the callbacks, so that training runs do not share their state."""
    try:
        return copy.deepcopy(callbacks)
    except Exception as error:  # a callback may raise any exception
        expected = "callbacks that `copy.deepcopy` can copy, once per training run"
        wrong = invalid_argument("callbacks", expected, callbacks, str(error))
        raise errors.FatalValueError(str(wrong)) from error
