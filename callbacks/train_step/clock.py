"""Which steps are observed, as far as that is known outside of the step."""

from .common import updating_optimizer


class Clock:
    """Counts the steps of one `fit` where the step need not do so itself.

    What is not observed then runs in a compiled function of its own, which costs what
    it costs without monitors; a condition inside of one function would not be free.

    Args:
        model: Compiled model.
        observation: `Observation` of its steps.
    """

    def __init__(self, model, observation):
        self._model = model
        self._observation = observation
        self._step = self._row = 0
        self._is_behind = False  # whether the clock of the step has not seen all steps

    def state(self) -> int:
        """Returns the number of the next step."""
        return self._step

    def set_state(self, step: int) -> None:
        """Makes the next step the one with this number."""
        self._step, self._is_behind = step, True

    def next_may_be_due(self) -> bool:
        """Whether to observe the next call; if so, puts the step's own clock right."""
        observation = self._observation
        if not observation.active:
            return False
        accumulates = updating_optimizer(self._model).gradient_accumulation_steps
        if accumulates or self._model.steps_per_execution > 1:
            return True  # which of them update the weights, the step itself knows
        step, self._step = self._step, self._step + 1
        if not observation.is_due(step):
            self._is_behind = True
            return False
        if self._is_behind:
            observation.set_clock(step, self._row)
        self._is_behind = False
        self._row += 1
        return True
