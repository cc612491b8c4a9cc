"""The base class of callbacks that monitor the training step."""

import os
from dataclasses import replace

import keras
import numpy as np

from zoo.utils.arguments import check_integer, invalid_argument, is_integer
from zoo.utils.printable import Printable
from zoo.utils.saved_attributes import SavedAttributes

from ..train_step import (
    BatchSample,
    StepCallback,
    updating_optimizer,
    updating_optimizers,
)
from ..train_step.update_record import padded
from .event_log import EventLog, check_log_dir
from .names import unique_names
from .summaries import number_of, recorded_at

MAX_RECORDS = 1000  # maximum number of records in memory


class StepMonitor(Printable, SavedAttributes, StepCallback):
    """Base class of callbacks that record the training step without affecting it.

    At most `MAX_RECORDS` records are kept in memory, evenly spaced over the call to
    `fit`. When this limit is exceeded, every second record is dropped, and the interval
    between records doubles. The first record is always kept, and all updates of a step
    are kept or dropped together.

    Subclasses implement `_log_record()`, which writes a record to TensorBoard, and can
    override `_summary()`, which describes the records for `print`.

    Args:
        every: Record every `every`-th step, starting with the first.
        log_dir: Folder for TensorBoard event files, or `None`.
        counted: Quantity for which histograms of magnitudes are recorded: "gradient",
            "weight" or "update". Defaults to `None`, which records no histograms.
    """

    saved_attributes = ("_records", "_kept_every", "_names", "_shapes")

    def __init__(self, every: int, log_dir, *, counted: str | None = None):
        super().__init__()
        if not is_integer(every):
            fix = _fix(every, type(self).__name__)
            raise invalid_argument("every", "an integer >= 1", every, fix)
        self.every = check_integer("every", every, minimum=1)
        self.log_dir = check_log_dir(log_dir)
        self._counted = counted
        self._forget()

    def on_train_begin(self, logs=None):
        _check_optimizer(self.model)
        super().on_train_begin(logs)
        self._forget()
        self._observation = self._train_function.observation
        self._observation.request(self.every, self._receive, self._counted)
        if self.log_dir is not None:
            self._log = EventLog(self.log_dir)

    def __getstate__(self):
        self._collect()  # if `fit` was interrupted, some records may be unread
        return super().__getstate__() | {"_observation": None, "_log": None}

    def on_epoch_begin(self, epoch, logs=None):
        self._observation.epoch = epoch

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self._collect()
        if self._log is not None:
            self._log.flush()

    def on_train_end(self, logs=None):
        self._collect()
        self._observation = None
        if self._log is not None:
            self._log.close()
            self._log = None
        super().on_train_end(logs)

    def records(self) -> dict[str, np.ndarray]:
        """Returns everything that was recorded, as arrays.

        In addition to the arrays that every monitor provides, such as "step" and
        "learning_rate", the dict contains "gradient_norm", "weight_norm" and
        "update_norm", of shape `(records, variables)`.
        """
        norms = "gradient_norm", "weight_norm", "update_norm"
        return self._info() | {name: self._array_of_all(name) for name in norms}

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """Shapes of the recorded variables."""
        self._collect()
        return list(self._shapes)

    def batch_sample(self) -> BatchSample | None:
        """Returns the latest sample of a batch.

        The result is `None` outside of `fit`, before the first step, and if
        `sample_size` is 0.
        """
        function = getattr(self, "_train_function", None)
        return None if function is None else function.batch_sample()

    def stop_samples(self) -> None:
        """Ends the regular samples of batches for this monitor."""
        self._train_function.stop_samples(self)

    def get_state(self) -> dict:
        """Returns the records and the step counters, for `ResumeTraining`."""
        self._collect()
        state = super().get_state()
        if self._observation is None:  # `fit` has ended
            return state
        steps = self._train_function.get_state()
        return state | {"epoch": self._observation.epoch, "steps": steps}

    def set_state(self, state: dict) -> None:
        """Restores a result of `get_state()`, before the first step of `fit`."""
        super().set_state(state)
        if self._observation is not None:
            self._observation.epoch = state["epoch"]
            self._train_function.set_state(state["steps"])

    def step_key(self) -> tuple:
        return ()  # this callback adds no computation; see `Observation`

    def __str__(self) -> str:
        self._collect()
        name = type(self).__name__
        if not self._records:
            return f"{name}: nothing recorded yet."
        skipped = sum(bool(record.skipped) for record in self._records)
        steps = recorded_at([record.step for record in self._records], "step")
        text = f"{number_of(len(self._records), 'update')} recorded, {steps}"
        if skipped:
            text += f" ({skipped} skipped because of overflow)"
        return f"{name}: {text}. {self._summary()}".rstrip()

    def _log_record(self, record) -> None:
        raise NotImplementedError

    def _summary(self) -> str:
        """Describes at least one record in one or two sentences."""
        return ""

    def _forget(self):
        self._observation = None
        self._log = None
        self._records = []
        self._kept_every = self.every
        self._names, self._shapes = [], []

    def _collect(self):
        """Reads new records, including unread records of an interrupted `fit`."""
        if self._observation is not None:
            self._observation.read()
            self._add_variables()

    def _add_variables(self):
        """Adds variables that have appeared in the records since the last call.

        The first call adds the variables of the first step. Later calls add variables
        that a callback has made trainable since then.
        """
        variables = self._observation.variables
        # Before the first step there are none, but there may be records of a save.
        if len(variables) <= len(self._names):
            return
        prefix = f"{self._model.name}/"  # `self.model` would synchronize on JAX
        self._names = unique_names(
            variable.path.removeprefix(prefix) for variable in variables
        )
        self._shapes = [tuple(variable.shape) for variable in variables]
        self._records = [padded(record, len(variables)) for record in self._records]

    def _receive(self, records: list):
        """Processes new records, except those requested only by other monitors."""
        self._add_variables()
        for record in records:
            if record.number % self.every == 0:
                record = padded(record, len(self._names))
                self._take(record)
                self._keep(record)

    def _take(self, record) -> None:
        """Processes a record, even if it will not be kept in memory."""
        if self._log is not None:
            self._log_record(record)

    def _keep(self, record):
        if record.number % self._kept_every:
            return
        has = record.magnitudes
        own = {kind: has[kind] for kind in has if kind == self._counted}
        self._records.append(replace(record, magnitudes=own))
        # All updates of the first step are kept, regardless of their number.
        while len(self._records) > MAX_RECORDS and any(
            one.number for one in self._records
        ):
            self._kept_every *= 2
            self._records = [
                one for one in self._records if not one.number % self._kept_every
            ]

    def _info(self) -> dict:
        """Returns a dict of the arrays that every monitor provides."""
        self._collect()
        return {
            "step": self._array("step", "int64"),
            "epoch": self._array("epoch", "int64"),
            "learning_rate": self._array("learning_rate", "float32"),
            "skipped": self._array("skipped", "bool"),
            "every": np.array(self._kept_every),
            "variable": np.array(self._names, dtype=str),
            "size": self._sizes(),
        }

    def _array(self, figure: str, dtype: str = "float32", shape: tuple = ()):
        """Returns an array with the values of one attribute for all records.

        The array has the shape `(records, *shape)`.
        """
        values = [getattr(record, figure) for record in self._records]
        return np.array(values, dtype=dtype).reshape(len(values), *shape)

    def _array_of_all(self, figure: str, dtype: str = "float32", shape: tuple = ()):
        """Returns an array with one attribute's values for all records and variables.

        The array has the shape `(records, variables, *shape)`.
        """
        return self._array(figure, dtype, (len(self._names), *shape))

    def _sizes(self):
        return np.array([np.prod(shape, dtype="int64") for shape in self._shapes])

    def _matrices(self) -> list[int]:
        """Returns the indices of the variables with more than one dimension."""
        return [i for i, shape in enumerate(self._shapes) if len(shape) > 1]


def _fix(every, name: str) -> str:
    """Shows the call for another argument in place of `every`."""
    if isinstance(every, str | os.PathLike):
        return f"For a folder of event files, write `{name}(log_dir={str(every)!r})`."
    if isinstance(every, keras.Model):
        return f"Pass the callback to `fit`: `model.fit(..., callbacks=[{name}()])`."
    return ""


def _check_optimizer(model) -> None:
    optimizer = updating_optimizer(model)
    if not isinstance(optimizer, keras.optimizers.Optimizer):
        raise invalid_argument(
            "optimizer",
            "a model that is compiled with a Keras optimizer",
            optimizer,
            "Only updates by a Keras optimizer can be recorded.",
        )
    steps = {one.gradient_accumulation_steps for one in updating_optimizers(optimizer)}
    if len(steps) > 1:
        raise invalid_argument(
            "optimizer",
            "optimizers that all have the same number of gradient accumulation steps, "
            "in a MultiOptimizer",
            f"gradient_accumulation_steps of {steps}",
        )
