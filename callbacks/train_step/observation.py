"""What is recorded of the sampled steps of one `fit`."""

import warnings
from collections.abc import Callable

import keras
import numpy as np

from .recorder import Recorder
from .sample import sample_of


class Observation:
    """Collects figures of gradients, weights and updates of the sampled steps.

    All callbacks of one `fit` that ask for records share this one. The step reduces
    them to a row of numbers, inside what is compiled; the rows are read when they are
    used up or when somebody asks.
    """

    def __init__(self):
        self.epoch = 0  # which the callbacks set
        self.requests: dict[int, set[str]] = {}
        self._receivers: list[Callable] = []
        self._recorder: Recorder | None = None
        self._variables: list[keras.Variable] = []
        self._steps_unread = 0
        self._last_row = -1
        self._has_warned = False

    @property
    def active(self) -> bool:
        """Whether anybody asked for anything."""
        return bool(self.requests)

    @property
    def variables(self) -> list[keras.Variable]:
        """Variables that the entries of a sample belong to; later ones may be added."""
        return self._variables

    def request(
        self, every: int, receive: Callable, counted: str | None = None
    ) -> None:
        """Asks for one in so many steps.

        Args:
            every: Number of steps.
            receive: Function of a list of new samples, which is called as they are
                read. The list also has what others asked for.
            counted: Kind of which the magnitudes are counted: "gradient", "weight"
                or "update". Defaults to `None`: of none.
        """
        kinds = self.requests.setdefault(every, set())
        if counted is not None:
            kinds.add(counted)
        if receive not in self._receivers:
            self._receivers.append(receive)

    def attach(self, recorder: Recorder) -> None:
        """Reads from this recorder from now on."""
        self._recorder = recorder
        self._variables = recorder.variables

    def detach(self) -> None:
        """Reads what is left; from then on the recorder can be used by another."""
        if self._recorder is not None:
            self.read()
            self._recorder = None
            self._variables = list(self._variables)

    def after_call(self, steps: int) -> None:
        """Reads the rows before a later step needs their place.

        Args:
            steps: Number of steps that one call can make.
        """
        self._steps_unread += steps
        recorder = self._recorder
        if recorder is None:
            return
        if recorder.rows_of(self._steps_unread + steps) > recorder.num_rows:
            self.read()

    def read(self) -> None:
        """Gives a `Sample` of every row that has not been read to all who asked."""
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
        """Warns if a step updated the weights more often than its code says."""
        if not lost:
            return
        steps = max(1, self._steps_unread)
        updates = -(-(lost + recorder.num_rows) // steps)
        recorder.updates_per_step = max(recorder.updates_per_step, updates)
        if not self._has_warned:
            self._has_warned = True
            warnings.warn(
                f"{lost} looks into the training step were lost: the step updates the "
                "weights more often than its rows can hold. Look into fewer steps "
                "with `every`, or set a lower `steps_per_execution`.",
                stacklevel=2,
            )
