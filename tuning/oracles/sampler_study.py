"""Optuna study in which a sampler proposes values and learns from finished trials."""

import copy
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
from keras_tuner.engine.hyperparameters import HyperParameter

from ..hyperparameters.probability import is_constant, key_of
from ..random_streams import seed as seed_of
from ..trials.search_trial import COMPLETED, DIVERGED, FAILED, PRUNED, SearchTrial
from .optuna_parameters import distribution_of, suggest, to_parameter


class SamplerStudy:
    """Asks an Optuna sampler for values, and tells it the outcomes of trials.

    The study is kept in memory. Because the random state of the sampler is seeded anew
    for each trial, the same calls in the same order lead to the same proposals. A
    search that continues therefore repeats its calls instead of storing the study.

    Each trial of the search occurs twice in the study. The first entry is a draft, with
    all values that were proposed. When the round ends, the draft fails, and a second
    entry is added with the values that the model has actually used.

    Args:
        sampler: Optuna sampler. It is copied.
        direction: "min" or "max".
        seed: Integer >= 0.
    """

    def __init__(self, sampler, direction: str, seed: int):
        import optuna

        self._seed = seed
        self._sampler = copy.deepcopy(sampler)
        self._worst = -np.inf if direction == "max" else np.inf
        self._drafts: dict[int, Any] = {}
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)  # it prints its name
        self._study = optuna.create_study(
            sampler=self._sampler,
            direction="maximize" if direction == "max" else "minimize",
        )
        optuna.logging.set_verbosity(verbosity)

    def begin(self, number: int) -> None:
        """Begins a trial, which must be the next trial by number."""
        seed_sampler(self._sampler, seed_of(self._seed, number, "sampler"))
        with self._described("begin a trial"):
            self._drafts[number] = self._study.ask()

    def has_begun(self, number: int) -> bool:
        """Returns whether a trial of the current round has begun."""
        return number in self._drafts

    def suggest(self, number: int, hp: HyperParameter):
        """Returns the proposed value of a hyperparameter in a trial that has begun."""
        with self._described(f"propose a value for hyperparameter '{hp.name}'"):
            return suggest(self._drafts[number], hp)

    def end_round(self, trials: Sequence[SearchTrial]) -> None:
        """Tells the sampler the outcomes of all trials of a round."""
        from optuna.trial import TrialState

        for trial in trials:
            draft = self._drafts.pop(trial.number)
            draft = self._study.tell(draft, state=TrialState.FAIL)
            self._study.add_trial(self._outcome(trial, draft.system_attrs))

    def _outcome(self, trial: SearchTrial, attributes: dict):
        """Returns a trial as a frozen Optuna trial.

        A diverged trial gets an infinitely bad value. If it failed, samplers would
        ignore it, and propose similar values again.

        Args:
            trial: Finished trial.
            attributes: State that the sampler has stored in the draft.
        """
        from optuna.trial import TrialState, create_trial

        states = {COMPLETED: "COMPLETE", DIVERGED: "COMPLETE", PRUNED: "PRUNED"}
        used = [
            hp
            for hp in trial.hyperparameters.space
            if trial.has(hp) and not is_constant(hp)
        ]
        values = trial.hyperparameters.values.unrecorded()
        score = self._worst if trial.status == DIVERGED else trial.score
        is_pruned = trial.status == PRUNED
        return create_trial(
            state=TrialState[states.get(trial.status, "FAIL")],
            value=None if is_pruned or trial.status == FAILED else score,
            intermediate_values={trial.epochs: score} if is_pruned else {},
            params={key_of(hp): to_parameter(hp, values[hp.name]) for hp in used},
            distributions={key_of(hp): distribution_of(hp) for hp in used},
            system_attrs=attributes,
        )

    @contextmanager
    def _described(self, action: str) -> Iterator[None]:
        """Adds the name of the sampler to errors, and silences warnings.

        Samplers warn about infinite values, which are intended here.
        """
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", "Clip non-finite values")
                yield
        except (ValueError, NotImplementedError, RuntimeError) as error:
            name = type(self._sampler).__name__
            raise RuntimeError(
                f"The Optuna sampler {name} could not {action}. Its error was:\n"
                f"{type(error).__name__}: {error}\nAll finished trials are recorded. "
                "Pass a sampler that supports this search space."
            ) from error


def seed_sampler(sampler, seed: int) -> None:
    """Seeds all random states of an Optuna sampler, including nested samplers.

    `sampler.reseed_rng()` does not accept a seed.

    Args:
        sampler: Optuna sampler.
        seed: Integer in [0, 2**32).
    """
    from optuna.samplers import BaseSampler

    for value in vars(sampler).values():
        state = getattr(value, "rng", value)  # some samplers wrap their random state
        if isinstance(state, np.random.RandomState):
            state.seed(seed)
        elif isinstance(state, np.random.Generator):
            state.bit_generator.state = type(state.bit_generator)(seed).state
        elif isinstance(value, BaseSampler):
            seed_sampler(value, seed)
