"""Oracle whose values are proposed by an Optuna sampler."""

from itertools import islice

from keras_tuner.engine.hyperparameters import HyperParameter

from ..hyperparameters.probability import is_constant
from ..trials.search_trial import SearchTrial
from .sampler_study import SamplerStudy
from .search_oracle import SearchOracle


class SamplerOracle(SearchOracle):
    """Lets an Optuna sampler propose the values of trials.

    The proposals for a trial depend only on the sampler, the seed, the number of the
    trial, and the trials of earlier rounds. When a search continues, the proposals for
    all earlier trials are repeated, so that the sampler returns to the same state.

    Values are drawn at random, as in `SearchOracle`, in two cases: if the proposed
    values have been tried before, and for hyperparameters that were not known when the
    round began.

    Args:
        sampler: Optuna sampler.
        **settings: Arguments of `SearchOracle`.
    """

    not_sent = (*SearchOracle.not_sent, "sampler", "_study", "_proposed")

    def __init__(self, *, sampler, **settings):
        super().__init__(**settings)
        self.sampler = sampler

    def _begin(self) -> None:
        super()._begin()
        self._study: SamplerStudy | None = None
        # Number of the trial that is being drawn, and the names of what is proposed.
        self._proposed: tuple[int | None, set[str]] = (None, set())

    def draw_value(self, hp: HyperParameter, trial: SearchTrial) -> tuple:
        """Returns the proposed value of a hyperparameter.

        Returns:
            The value and its source, "sampler" or "full".
        """
        number, names = self._proposed
        is_proposed = trial.attempt == 0 and trial.number == number and hp.name in names
        if self._study is None or not is_proposed or is_constant(hp):
            return super().draw_value(hp, trial)
        return self._study.suggest(trial.number, hp), "sampler"

    def reload(self) -> None:
        super().reload()
        self._study = None

    def _draw_trial(self, number: int) -> SearchTrial | None:
        if self._study is None:
            self._study = SamplerStudy(
                self.sampler, self.objective.direction, self.seed
            )
            for earlier in range(number):
                self._begin_trial(self._study, earlier)
                trial = self._make_trial(earlier, 0)
                self._draw_values(trial, self._drawer(trial))
        self._begin_trial(self._study, number)
        try:
            return super()._draw_trial(number)
        finally:
            self._proposed = (None, set())

    def _begin_trial(self, study: SamplerStudy, number: int) -> None:
        """Begins a trial in the study, after telling it about all earlier rounds."""
        size = self.trials_per_round
        if not study.has_begun(number):  # it has if its values were not known in time
            if number and number % size == 0:
                ended = islice(self.trials.values(), number - size, number)
                study.end_round(list(ended))
            study.begin(number)
        self._proposed = number, self._known_before(number // size + 1)
