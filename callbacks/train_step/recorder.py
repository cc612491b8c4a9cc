"""The part of the observation that is inside the step."""

import keras
import numpy as np
from keras import ops

from .common import make_variable, updating_optimizers
from .sample import KINDS, LEADING, NUM_BINS

START = [-1, 0, 0, 0]  # the clock before the first step


class Recorder:
    """Holds the variables to which the step writes a row for every sampled update.

    The rows are a ring: they must be read before their place is needed again.

    Args:
        model: Model whose optimizer is observed.
        backend: Module of the backend, with `norms`, `largest`, `count_exponents`,
            `make_clock` and `set_clock`.
        requests: Dict from `every` to the kinds of which the magnitudes are counted.
    """

    def __init__(self, model: keras.Model, backend, requests: dict[int, set[str]]):
        self.backend = backend
        self.requests = {every: frozenset(has) for every, has in requests.items()}
        self.variables: list[keras.Variable] = []
        self.unknown: list[keras.Variable] = []  # updated, but without a place
        self.clock = backend.make_clock(model)
        self.records: list[keras.Variable] = []  # marks, figures and counts
        self.is_called = False  # whether the step has called the optimizer
        self.updates_per_step = 1
        self.updates = 0  # of the step that is being traced
        self._model = model

    @property
    def counted(self) -> tuple[str, ...]:
        """Kinds of which the magnitudes are counted."""
        wanted = set().union(*self.requests.values())
        return tuple(kind for kind in KINDS if kind in wanted)

    @property
    def num_rows(self) -> int:
        """Number of rows of the ring."""
        return self.records[0].shape[0] if self.records else 0

    def step_variables(self) -> list[keras.Variable]:
        """Returns the variables that the step reads and assigns."""
        self.build()
        return [self.clock, *self.records]

    def build(self, variables=()) -> None:
        """Makes the records, if that has not been done.

        Args:
            variables: What the optimizer updates. Defaults to `()`. The model's
                trainable variables have a place in any case.
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
        """Returns how many rows that many steps write at most."""
        per_step = self.updates_per_step
        return sum(steps // every + 1 for every in self.requests) * per_step

    def rebuild(self) -> None:
        """Drops the records, which must have been read; the clock goes on."""
        self.records = []
        self._add(self.unknown)
        self.unknown = []

    def read_clock(self) -> list[int]:
        """Returns what the clock says: waits for the step that runs."""
        return self.backend.numbers(self.clock)

    def restart(self, clock: list[int] = START) -> None:
        """Begins again with no row written.

        Args:
            clock: Where the clock goes on. Defaults to `START`, step 0.
        """
        step, number, _, updated = clock
        self.backend.set_clock(self.clock, [step, number, 0, updated])
        if self.records:
            marks = self.records[0]
            marks.assign(np.full(marks.shape, -1, "int32"))

    def follow(self, other: "Recorder") -> bool:
        """Goes on where another recorder is, whose variables keep their places.

        Returns:
            Whether the records, if there were any, had to be dropped.
        """
        self.backend.set_clock(self.clock, other.read_clock())
        known = [id(variable) for variable in self.variables[: len(other.variables)]]
        if known == [id(variable) for variable in other.variables]:
            return False
        mine, self.variables, self.records = self.variables, [], []
        self._add([*other.variables, *mine])
        return True

    def set_step(self, step: int) -> None:
        """Says which step is the next, where each of them updates the weights."""
        row = ops.convert_to_tensor(self.clock)[2]  # without waiting for its value
        clock = ops.stack([step - 1, step, row, 0])
        self.clock.assign(ops.cast(clock, "int32"))

    def count_update(self) -> None:
        """Says that the step that is being traced updates weights once more."""
        self.is_called = True
        self.updates += 1
        self.updates_per_step = max(self.updates_per_step, self.updates)

    def accumulates(self) -> bool:
        """Whether some steps only accumulate gradients."""
        optimizers = updating_optimizers(self._model.optimizer)
        return any(one.gradient_accumulation_steps for one in optimizers)

    def is_due(self, number, *, counts: bool = False):
        """Whether the updates of a step are sampled, or with counts so.

        Args:
            number: Integer, or a tensor: the number of steps before it that updated
                weights.
            counts: Whether the question is about the counts. Defaults to `False`.

        Returns:
            A bool where the answer is always the same or `number` is an integer, else
            a tensor.
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
