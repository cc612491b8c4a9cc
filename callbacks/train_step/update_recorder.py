"""Decides which updates are recorded, and manages the buffers for the records."""

import keras
import numpy as np

from zoo.backend import train_step
from zoo.backend.train_step import StepCounters

from .optimizer_call import OptimizerCall
from .optimizers import updating_optimizers
from .row_layout import RowLayout
from .update_record import QUANTITIES, UpdateRecord


class UpdateRecorder:
    """Manages the variables to which the step writes one row per recorded update.

    The rows form a ring buffer. Read them before they are overwritten.

    Args:
        model: Model whose optimizer is recorded.
        requests: Dict that maps each requested interval, in steps, to the quantities
            for which histograms of magnitudes are requested at that interval.
    """

    def __init__(self, model: keras.Model, requests: dict[int, set[str]]):
        self.requests = {every: frozenset(has) for every, has in requests.items()}
        self.variables: list[keras.Variable] = []
        self.unknown: list[keras.Variable] = []  # updated, but not in the records
        self.counters = train_step.make_counters(model)
        self.buffers: list[keras.Variable] = []
        self.is_called = False  # whether the step has called the optimizer
        self.updates_per_step = 1
        self._updates = 0  # number of updates in the step that is being traced
        self._model = model

    @property
    def layout(self) -> RowLayout:
        """Layout of the rows."""
        wanted = set().union(*self.requests.values())
        counted = tuple(quantity for quantity in QUANTITIES if quantity in wanted)
        return RowLayout(len(self.variables), counted)

    @property
    def num_rows(self) -> int:
        """Number of rows in the ring buffer."""
        return self.buffers[0].shape[0] if self.buffers else 0

    def step_variables(self) -> list[keras.Variable]:
        """Returns the variables that the step reads and assigns."""
        self.build()
        return [self.counters, *self.buffers]

    def build(self, variables=()) -> None:
        """Creates the buffers if they do not exist yet.

        Args:
            variables: Variables that the optimizer updates. The model's trainable
                variables are always included. Defaults to `()`.
        """
        if self.buffers:
            return
        self._add([*self._model.trainable_variables, *variables])
        layout = self.layout
        rows = max(4, min(32, 2**18 // max(1, layout.width + layout.num_counts)))
        rows += self.rows_of(self._model.steps_per_execution)
        self.buffers = [
            train_step.make_variable(self._model, value, value.dtype.name)
            for value in layout.allocate(rows)
        ]

    def rows_of(self, steps: int) -> int:
        """Returns the maximum number of rows that `steps` steps can write."""
        per_step = self.updates_per_step
        return sum(steps // every + 1 for every in self.requests) * per_step

    def read(self, epoch: int, last: int) -> tuple[list[UpdateRecord], int]:
        """Returns the records of all rows after `last`, and the newest row number.

        The buffers must exist.
        """
        arrays = [
            np.array(keras.ops.convert_to_numpy(buffer)) for buffer in self.buffers
        ]
        return self.layout.unpack_new(arrays, epoch, last)

    def rebuild(self) -> None:
        """Discards the buffers but keeps the counters.

        The buffers must have been read. Later records include the variables that were
        missing from earlier records.
        """
        self.buffers = []
        self._add(self.unknown)
        self.unknown = []

    def restart(self, counters: StepCounters | None = None) -> None:
        """Sets the counters and marks all rows as unused.

        Args:
            counters: Counters to continue from. Defaults to `None`: step 0.
        """
        counters = StepCounters() if counters is None else counters
        train_step.set_counters(self.counters, counters._replace(row=0))
        if self.buffers:
            self.layout.clear(self.buffers)

    def follow(self, other: "UpdateRecorder") -> bool:
        """Continues from another recorder, and adopts the order of its variables.

        Args:
            other: Recorder to continue from.

        Returns:
            Whether the order of the variables changed, in which case the buffers are
            discarded.
        """
        counters = train_step.read_counters(other.counters)
        train_step.set_counters(self.counters, counters)
        known = [id(variable) for variable in self.variables[: len(other.variables)]]
        if known == [id(variable) for variable in other.variables]:
            return False
        mine, self.variables, self.buffers = self.variables, [], []
        self._add([*other.variables, *mine])
        return True

    def set_step(self, step: int) -> None:
        """Sets the number of the next step.

        All earlier steps are treated as if they had updated the weights.
        """
        train_step.set_step(self.counters, step)

    def begin_step(self, counters: StepCounters) -> StepCounters:
        """Returns the counters for the step that is about to run."""
        self._updates = 0
        return counters.next_step()

    def count_update(self) -> None:
        """Increments the number of updates in the step that is being traced."""
        self.is_called = True
        self._updates += 1
        self.updates_per_step = max(self.updates_per_step, self._updates)

    def observe(
        self, optimizer, gradients, variables, counters: StepCounters
    ) -> OptimizerCall:
        """Returns an object that records one call to the optimizer."""
        return OptimizerCall(self, optimizer, gradients, variables, counters)

    def accumulates(self) -> bool:
        """Returns whether some steps only accumulate gradients."""
        optimizers = updating_optimizers(self._model.optimizer)
        return any(one.gradient_accumulation_steps for one in optimizers)

    def may_record(self, counters: StepCounters) -> bool:
        """Returns whether an update may be recorded in this step.

        Args:
            counters: Counters of the step, as integers.
        """
        return self.accumulates() or self.is_due(counters.number)

    def is_due(self, number):
        """Returns whether the updates of a step are recorded.

        Args:
            number: Integer or tensor, the number of earlier steps that updated the
                weights.

        Returns:
            A bool if the result is constant or `number` is an integer, otherwise a
            tensor.
        """
        return _is_due(number, list(self.requests))

    def counts_are_due(self, number):
        """Returns whether the records of a step include histograms of magnitudes.

        Args:
            number: Same as for `is_due`.
        """
        if all(self.requests.values()):
            return True
        return _is_due(number, [every for every, has in self.requests.items() if has])

    def _add(self, variables):
        known = {id(variable) for variable in self.variables}
        for variable in variables:
            if id(variable) not in known:
                known.add(id(variable))
                self.variables.append(variable)


def _is_due(number, intervals: list[int]):
    if 1 in intervals or not intervals:
        return bool(intervals)
    due = number % intervals[0] == 0
    for every in intervals[1:]:
        due = due | (number % every == 0)
    return due
