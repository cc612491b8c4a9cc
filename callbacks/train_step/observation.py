"""Collects the records of one call to `fit`, and distributes them to callbacks."""

import warnings
from collections.abc import Callable

import keras

from .update_recorder import UpdateRecorder


class Observation:
    """Collects records of gradients, weights and updates.

    All callbacks in one call to `fit` that request records share one instance. The
    compiled step reduces each recorded update to a row of numbers. The rows are read on
    request, and before the step can overwrite them.
    """

    def __init__(self):
        self.epoch = 0  # set by the callbacks
        self.requests: dict[int, set[str]] = {}
        self._receivers: list[Callable] = []
        self._recorder: UpdateRecorder | None = None
        self._variables: list[keras.Variable] = []
        self._steps_unread = 0
        self._last_row = -1
        self._has_warned = False

    @property
    def active(self) -> bool:
        """Whether any callback has requested records."""
        return bool(self.requests)

    @property
    def variables(self) -> list[keras.Variable]:
        """Recorded variables, in the order of the entries in each record.

        More variables may be appended later.
        """
        return self._variables

    def request(
        self, every: int, receive: Callable, counted: str | None = None
    ) -> None:
        """Requests a record every `every` steps, starting with the first step.

        Args:
            every: Number of steps from one record to the next.
            receive: Function that is called with a list of new records each time
                records are read. The list includes records requested by other
                callbacks.
            counted: "gradient", "weight" or "update", the quantity for which histograms
                of magnitudes are recorded. Defaults to `None`, which records no
                histograms.
        """
        quantities = self.requests.setdefault(every, set())
        if counted is not None:
            quantities.add(counted)
        if receive not in self._receivers:
            self._receivers.append(receive)

    def attach(self, recorder: UpdateRecorder) -> None:
        """Sets the recorder whose rows are read."""
        self._recorder = recorder
        self._variables = recorder.variables

    def detach(self) -> None:
        """Reads the remaining rows and releases the recorder for reuse."""
        if self._recorder is not None:
            self.read()
            self._recorder = None
            self._variables = list(self._variables)

    def after_call(self, steps: int) -> None:
        """Reads the rows if the next call could overwrite unread rows.

        Args:
            steps: Maximum number of steps in one call to the train function.
        """
        self._steps_unread += steps
        recorder = self._recorder
        if recorder is None:
            return
        if recorder.rows_of(self._steps_unread + steps) > recorder.num_rows:
            self.read()

    def read(self) -> None:
        """Converts unread rows to `UpdateRecord` instances, and calls all receivers."""
        recorder = self._recorder
        if recorder is None or not recorder.buffers:
            return
        records, last_row = recorder.read(self.epoch, self._last_row)
        self._check_lost(recorder, last_row - self._last_row - len(records))
        self._last_row = last_row
        self._steps_unread = 0
        for receive in self._receivers if records else ():
            receive(records)

    def _check_lost(self, recorder: UpdateRecorder, lost: int) -> None:
        """Warns if rows were lost, and increases `updates_per_step` accordingly."""
        if not lost:
            return
        steps = max(1, self._steps_unread)
        updates = -(-(lost + recorder.num_rows) // steps)
        recorder.updates_per_step = max(recorder.updates_per_step, updates)
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"{lost} looks into the training step were lost: the step updates the "
                "weights more often than the available rows can hold. Increase "
                "`every`, or decrease `steps_per_execution`.",
                stacklevel=2,
            )
