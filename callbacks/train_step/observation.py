"""Collects the records of one `fit`, and distributes them to callbacks."""

import warnings
from collections.abc import Callable

import keras
import numpy as np

from .recorder import Recorder
from .sample import sample_of


class Observation:
    """Collects records of gradients, weights and updates in sampled steps.

    All callbacks in one `fit` that request records share one instance. The compiled
    step reduces each update to a row of numbers. The rows are read when no free rows
    are left, or on request.
    """

    def __init__(self):
        self.epoch = 0  # set by the callbacks
        self.requests: dict[int, set[str]] = {}
        self._receivers: list[Callable] = []
        self._recorder: Recorder | None = None
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
        """Variables that the entries of a sample belong to. More may be added later."""
        return self._variables

    def request(
        self, every: int, receive: Callable, counted: str | None = None
    ) -> None:
        """Requests a record of every `every`-th step, starting with the first.

        Args:
            every: Number of steps from one record to the next.
            receive: Function that is called with a list of new samples when they are
                read. The list includes samples that others requested.
            counted: Kind of tensor whose magnitudes are counted: "gradient", "weight"
                or "update". Defaults to `None`: no magnitudes are counted.
        """
        kinds = self.requests.setdefault(every, set())
        if counted is not None:
            kinds.add(counted)
        if receive not in self._receivers:
            self._receivers.append(receive)

    def attach(self, recorder: Recorder) -> None:
        """Starts to read from a recorder."""
        self._recorder = recorder
        self._variables = recorder.variables

    def detach(self) -> None:
        """Reads the remaining rows, and releases the recorder for another `fit`."""
        if self._recorder is not None:
            self.read()
            self._recorder = None
            self._variables = list(self._variables)

    def after_call(self, steps: int) -> None:
        """Reads the rows if the next call could overwrite unread ones.

        Args:
            steps: Maximum number of steps in one call.
        """
        self._steps_unread += steps
        recorder = self._recorder
        if recorder is None:
            return
        if recorder.rows_of(self._steps_unread + steps) > recorder.num_rows:
            self.read()

    def read(self) -> None:
        """Passes a `Sample` for every unread row to all receivers."""
        recorder = self._recorder
        if recorder is None or not recorder.records:
            return
        marks, *rows = [
            np.array(keras.ops.convert_to_numpy(record)) for record in recorder.records
        ]
        order = np.argsort(marks[:, 2])
        new = order[marks[order, 2] > self._last_row]
        samples = []
        for index in new:
            row = [marks[index], *(values[index] for values in rows)]
            samples.append(sample_of(self.epoch, recorder.counted, *row))
        if len(new):
            lost = int(marks[:, 2].max()) - self._last_row - len(new)
            self._check_lost(recorder, lost)
            self._last_row = int(marks[:, 2].max())
        self._steps_unread = 0
        for receive in self._receivers if samples else ():
            receive(samples)

    def _check_lost(self, recorder: Recorder, lost: int) -> None:
        """Warns if rows were lost, and raises the expected updates per step."""
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
