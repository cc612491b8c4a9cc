"""What is recorded of the sampled steps of one `fit`."""

import keras
import numpy as np

from .common import make_variable
from .sample import KINDS, LEADING, NUM_BINS, sample_of


class Observation:
    """Records figures of gradients, weights and updates of the sampled steps.

    All callbacks of one `fit` that ask for records share this one. The step reduces
    them to a row of numbers, inside of what is compiled, and writes it to variables;
    the rows are read when they are used up or when somebody asks.

    Args:
        model: Model whose optimizer is observed.
        backend: Module of the backend, with `norms`, `largest`, `count_exponents`,
            `make_clock` and `set_clock`.
    """

    def __init__(self, model: keras.Model, backend):
        self.backend = backend
        self.epoch = 0  # which the callbacks set
        self.samples = []
        self.variables: list[keras.Variable] = []
        self.clock = None  # steps, steps that update the weights, rows
        self.records: list[keras.Variable] = []  # marks, figures and counts
        self._model = model
        self._requests: dict[int, set[str]] = {}
        self._steps_unread = 0
        self._last_step = -1

    @property
    def active(self) -> bool:
        """Whether anybody asked for anything."""
        return bool(self._requests)

    @property
    def counted(self) -> tuple[str, ...]:
        """Kinds of which the magnitudes are counted."""
        wanted = set().union(*self._requests.values())
        return tuple(kind for kind in KINDS if kind in wanted)

    def request(self, every: int, counted: str | None = None) -> None:
        """Asks for one in so many steps.

        Args:
            every: Number of steps.
            counted: Kind of which the magnitudes are counted: "gradient", "weight"
                or "update". Defaults to `None`: of none.
        """
        kinds = self._requests.setdefault(every, set())
        if counted is not None:
            kinds.add(counted)

    def step_variables(self) -> list[keras.Variable]:
        """Returns the variables that the step reads and assigns."""
        if not self.active:
            return []
        if not self.records:
            self.build(self._model.trainable_variables)
        return [self.clock, *self.records]

    def build(self, variables: list[keras.Variable]) -> None:
        """Makes the variables, if that has not been done.

        Args:
            variables: What the optimizer updates.
        """
        if self.records:
            return
        self.variables = list(variables)
        size, kinds = len(self.variables), len(self.counted)
        width = LEADING + size * (len(KINDS) + kinds)
        counts = kinds * size * NUM_BINS
        at_once = self._model.steps_per_execution
        self._rows = max(4, min(32, 2**18 // (width + counts)))
        self._rows += (at_once // min(self._requests) + 1) * len(self._requests)
        values = [np.full((self._rows, 2), -1, "int32")]
        values.append(np.zeros((self._rows, width), "float32"))
        if counts:
            values.append(np.zeros((self._rows, kinds, size, NUM_BINS), "int32"))
        self.clock = self.backend.make_clock(self._model)
        self.records = [
            make_variable(self._model, value, value.dtype.name) for value in values
        ]

    def set_clock(self, step: int, row: int) -> None:
        """Says which step is the next, where each of them updates the weights."""
        self.backend.set_clock(self.clock, [step, step, row])

    def clock_state(self) -> list[int]:
        """Returns the numbers of the next step and of the next update."""
        if self.clock is None:
            return [0, 0]
        numbers = self.clock if isinstance(self.clock, list) else self.clock.value
        return [int(number) for number in keras.ops.convert_to_numpy(numbers)[:2]]

    def set_clock_state(self, numbers: list[int]) -> None:
        """Makes the next step and update those with these numbers."""
        self.step_variables()  # the clock is among them
        self.backend.set_clock(self.clock, [*numbers, 0])

    def is_due(self, number, *, counts: bool = False):
        """Whether the update of this number is sampled, or with counts so.

        Args:
            number: Integer, or a tensor.
            counts: Whether the question is about the counts. Defaults to `False`.

        Returns:
            A bool where the answer is always the same or `number` is an integer, else
            a tensor.
        """
        wanted = [every for every, has in self._requests.items() if has or not counts]
        if 1 in wanted or not wanted:
            return bool(wanted)
        due = number % wanted[0] == 0
        for every in wanted[1:]:
            due = due | (number % every == 0)
        return due

    def after_call(self) -> None:
        """Reads the rows before a later step needs their place."""
        if not self.active:
            return
        at_once = self._model.steps_per_execution
        self._steps_unread += at_once
        rows = sum(
            (self._steps_unread + at_once) // every + 1 for every in self._requests
        )
        if rows > self._rows:
            self.read()

    def read(self) -> None:
        """Adds a `Sample` for every row that has not been read."""
        if not self.records:
            return
        self._steps_unread = 0
        marks, *rows = [
            np.array(keras.ops.convert_to_numpy(record)) for record in self.records
        ]
        order = np.argsort(marks[:, 0])
        for index in order[marks[order, 0] > self._last_step]:
            row = [marks[index], *(values[index] for values in rows)]
            self.samples.append(sample_of(self.epoch, self.counted, *row))
        self._last_step = max(self._last_step, marks[:, 0].max())
