"""Holds the variables to which the training step writes its records."""

import keras
import numpy as np

from .common import make_variable, updating_optimizers
from .sample import KINDS, LEADING, NUM_BINS

START = [-1, 0, 0, 0]  # the clock before the first step


class Recorder:
    """Holds the variables to which the step writes one row per sampled update.

    The rows form a ring buffer. Read them before they are overwritten.

    Args:
        model: Model whose optimizer is recorded.
        backend: Module of the backend, with functions such as `norms`, `largest`,
            `count_exponents`, `make_clock`, `set_clock` and `set_step`.
        requests: Dict from `every` to the kinds whose magnitudes are counted.
    """

    def __init__(self, model: keras.Model, backend, requests: dict[int, set[str]]):
        self.backend = backend
        self.requests = {every: frozenset(has) for every, has in requests.items()}
        self.variables: list[keras.Variable] = []
        self.unknown: list[keras.Variable] = []  # updated, but not in the records
        self.clock = backend.make_clock(model)
        self.records: list[keras.Variable] = []  # row marks, numbers and counts
        self.is_called = False  # whether the step has called the optimizer
        self.updates_per_step = 1
        self.updates = 0  # number of updates in the step that is being traced
        self._model = model

    @property
    def counted(self) -> tuple[str, ...]:
        """Kinds whose magnitudes are counted."""
        wanted = set().union(*self.requests.values())
        return tuple(kind for kind in KINDS if kind in wanted)

    @property
    def num_rows(self) -> int:
        """Number of rows in the ring buffer."""
        return self.records[0].shape[0] if self.records else 0

    def step_variables(self) -> list[keras.Variable]:
        """Returns the variables that the step reads and assigns."""
        self.build()
        return [self.clock, *self.records]

    def build(self, variables=()) -> None:
        """Creates the record variables if they do not exist.

        Args:
            variables: Variables that the optimizer updates. The model's trainable
                variables are always included. Defaults to `()`.
        """
        if self.records:
            return
        self._add([*self._model.trainable_variables, *variables])
        size, kinds = len(self.variables), len(self.counted)
        width = LEADING + size * (len(KINDS) + kinds)
        counts = kinds * size * NUM_BINS
        rows = max(4, min(32, 2**18 // max(1, width + counts)))
        rows += self.rows_of(self._model.steps_per_execution)
        values = [np.full((rows, 3), -1, "int32"), np.zeros((rows, width), "float32")]
        if counts:
            values.append(np.zeros((rows, kinds, size, NUM_BINS), "int32"))
        self.records = [
            make_variable(self._model, value, value.dtype.name) for value in values
        ]

    def rows_of(self, steps: int) -> int:
        """Returns the maximum number of rows that `steps` steps write."""
        per_step = self.updates_per_step
        return sum(steps // every + 1 for every in self.requests) * per_step

    def rebuild(self) -> None:
        """Drops the records, which must have been read, but not the clock."""
        self.records = []
        self._add(self.unknown)
        self.unknown = []

    def restart(self) -> None:
        """Starts over at step 0, without any rows."""
        self.backend.set_clock(self.clock, START)
        if self.records:
            marks = self.records[0]
            marks.assign(np.full(marks.shape, -1, "int32"))

    def follow(self, other: "Recorder") -> bool:
        """Continues from another recorder, and keeps the order of its variables.

        Args:
            other: Recorder to continue from.

        Returns:
            Whether the order of the variables changed, which drops the records.
        """
        self.backend.set_clock(self.clock, self.backend.numbers(other.clock))
        known = [id(variable) for variable in self.variables[: len(other.variables)]]
        if known == [id(variable) for variable in other.variables]:
            return False
        mine, self.variables, self.records = self.variables, [], []
        self._add([*other.variables, *mine])
        return True

    def set_step(self, step: int) -> None:
        """Sets the number of the next step, assuming that every step is an update."""
        self.backend.set_step(self.clock, step)

    def count_update(self) -> None:
        """Counts one more update in the step that is being traced."""
        self.is_called = True
        self.updates += 1
        self.updates_per_step = max(self.updates_per_step, self.updates)

    def accumulates(self) -> bool:
        """Returns whether some steps only accumulate gradients."""
        optimizers = updating_optimizers(self._model.optimizer)
        return any(one.gradient_accumulation_steps for one in optimizers)

    def is_due(self, number, *, counts: bool = False):
        """Returns whether the updates of a step are recorded.

        Args:
            number: Integer or tensor: number of earlier steps that updated the
                weights.
            counts: Whether to ask for updates whose magnitudes are counted. Defaults
                to `False`.

        Returns:
            A bool if the result is constant or `number` is an integer, otherwise a
            tensor.
        """
        wanted = [every for every, has in self.requests.items() if has or not counts]
        if 1 in wanted or not wanted:
            return bool(wanted)
        due = number % wanted[0] == 0
        for every in wanted[1:]:
            due = due | (number % every == 0)
        return due

    def _add(self, variables):
        known = {id(variable) for variable in self.variables}
        for variable in variables:
            if id(variable) not in known:
                known.add(id(variable))
                self.variables.append(variable)
