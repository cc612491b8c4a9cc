"""What has been seen of a training run, and the facts that follow from it."""

import math
import sys
from dataclasses import replace
from typing import Any

import keras

from zoo.backend.keras_fit_internals import batch_size_of, fit_frame, fit_variables
from zoo.differentiation import unchanged_state

from ..monitors.step_monitor import StepMonitor
from ..train_step import BatchSample
from .data.dependence import applies_to
from .data.leak import Leak, find_leak
from .data.sample_data import Sample, is_dataset, take_sample
from .facts import Facts
from .outcome import outcome_of
from .reading.model_facts import read_model
from .run.noting_errors import noting_errors
from .run.pass_facts import PassFacts, run_pass
from .run.seen_data import SeenData
from .run.time_gradients import time_gradients
from .run.training_facts import RECORDED, TrainingFacts
from .run.weights import as_tensors, copy_weights, identical_units

SAMPLE_SIZE = 256  # examples of a batch
# A new program finds the data in the arguments of `fit`.
NOT_STATE = ("_initial", "_leak", "_validation")


class ObservedRun:
    """Gathers what is known of one call to `fit`, without changing it.

    Errors are noted, so that a diagnosis never stops training.

    Attributes:
        read: `ModelFacts`, or `None` if the model has not been read.
        seen: Samples of the batches.
        start: Result of the first pass, or `None` without one.
        logs: Dict from each logged quantity to its values, one per epoch.
        epochs: Number of epochs that `fit` was asked for.
        steps: Number of steps in an epoch, or `None` if unknown.
        has_stepped: Whether a step has ended.
        is_over: Whether training has ended.
        failed: Descriptions of parts whose diagnosis failed.
    """

    def __init__(self):
        self.read: Any = None
        self.seen = SeenData(SAMPLE_SIZE)
        self.start: PassFacts | None = None
        self.logs: dict[str, list[float]] = {}
        self.epochs: int | None = None
        self.steps: int | None = None
        self.has_stepped = False
        self.is_over = True
        self.failed: list[str] = []
        self._missing: dict[str, str] = {}
        self._end: PassFacts | None = None
        self._initial: list[tuple] = []
        self._identical: tuple[str, ...] = ()
        self._leak: Leak | None = None
        self._validation: Sample | None = None
        self._batch_size: int | None = None
        self._reads_dataset = False

    @property
    def not_seen(self) -> tuple[str, ...]:
        """Descriptions of everything that could not be seen."""
        missing = [f"`{name}` of a batch: {why}" for name, why in self._missing.items()]
        return (*self.failed, *missing)

    @property
    def starts_finite(self) -> bool:
        """Whether the loss of the first pass is finite, or unknown."""
        start = self.start
        return start is None or start.loss is None or math.isfinite(start.loss)

    def begin(self, model: keras.Model) -> None:
        """Looks at the arguments of `fit`, and keeps the initial weights."""
        self.is_over = False
        with noting_errors("the validation data", self.failed):
            self._look_at_arguments(model)
        if model.built and type(model).call is not keras.Model.call:
            with noting_errors("the model", self.failed):
                self._initial = copy_weights(model)
                self.read = read_model(model)

    def add(self, batch: BatchSample) -> None:
        """Adds a sample of a batch."""
        self._missing |= batch.missing
        if not batch.missing and batch.y is not None:
            self.seen.add(Sample(batch.x, batch.y, batch.sample_weight))

    def look_at_first(self, model: keras.Model) -> None:
        """Passes a sample through the initial weights, which are not kept longer."""
        with noting_errors("the first batch", self.failed):
            if model.built:
                self._look_at_first(model)
        self._initial = []

    def look_at_end(self, model: keras.Model) -> None:
        """Looks at the model after training, or after the first step has failed."""
        if not self.has_stepped:
            with noting_errors("the first batch", self.failed):
                self._look_at_first(model)
            return
        with noting_errors("the trained model", self.failed):
            self._identical = identical_units(model)
            if self.seen.samples:
                self._end = run_pass(
                    model, self.seen.latest(), batch_size=self.seen.batch_size
                )

    def facts(self, model: keras.Model, monitor: StepMonitor) -> Facts:
        """Returns all facts.

        Simple models are fitted only after a run that is not known to be good, and
        gradients over time are computed only after a run that was harmed.

        Args:
            model: Model that is trained.
            monitor: Monitor that has recorded the updates.
        """
        read, seen = self.read, self.seen
        trivial = seen.trivial(model, read, self.steps)
        self._end = seen.compared(self._end, model, read)
        facts = Facts(
            model=read,
            data=seen.describe(read, dependence=False),
            start=self.start,
            end=self._end,
            training=self._training(monitor) if self.has_stepped else None,
            trivial=trivial,
            leak=self._leak,
            validation_constant=seen.constant_on(self._validation, model, read),
        )
        if not self.is_over or outcome_of(facts).is_good:
            return facts
        if applies_to(read):
            data = seen.describe(read, dependence=True)
            facts = replace(facts, data=data)
        return self._look_back(model, facts) if outcome_of(facts).is_harmed else facts

    def get_state(self) -> dict:
        """Returns what was seen so far, for `ResumeTraining`."""
        return {
            "own": {k: value for k, value in vars(self).items() if k not in NOT_STATE},
            "initial": [value for _, value in self._initial],
        }

    def set_state(self, state: dict) -> None:
        """Restores a result of `get_state()`. The number of epochs may have grown."""
        epochs = self.epochs
        # There are no values after the first look.
        pairs = zip(self._initial, state["initial"], strict=False)
        self._initial = [(variable, value) for (variable, _), value in pairs]
        self.__dict__.update(state["own"])
        if not self.is_over:
            self.epochs = epochs

    def __getstate__(self):
        # The report replaces the data and weights that it is based on.
        dropped = {"seen": SeenData(SAMPLE_SIZE), "_initial": [], "_validation": None}
        return vars(self) | dropped | {"is_over": True}

    def _look_at_arguments(self, model: keras.Model) -> None:
        """Compares validation arrays with training arrays, and keeps some of them."""
        frame = fit_frame(model, sys._getframe())
        if frame is None:
            return
        arguments = fit_variables(frame)
        self._reads_dataset = is_dataset(arguments["x"])
        validation = arguments["validation_data"]
        self._leak = find_leak(arguments["x"], validation)
        if self._leak is not None:
            self._validation = take_sample(*validation)
        self._batch_size = batch_size_of(arguments["epoch_iterator"])

    def _look_at_first(self, model: keras.Model) -> None:
        """Reads the model and passes a sample through its initial weights."""
        before = self.read
        sample = self.seen.samples[0] if self.seen.samples else None
        if before is None or (before.graph is None and sample is not None):
            with unchanged_state(as_tensors(self._initial)):
                x, y = (None, None) if sample is None else (sample.x, sample.y)
                self.read = read_model(model, x, y)
            if before is not None:
                self.read = replace(self.read, optimizer=before.optimizer)
        if self._initial and sample is not None:
            self.start = run_pass(model, sample, as_tensors(self._initial))

    def _look_back(self, model: keras.Model, facts: Facts) -> Facts:
        """Adds how far back in time the loss of a recurrent network depends."""
        end = facts.end
        if end is None or end.sample is None:
            return facts
        with noting_errors("gradients over time", self.failed):
            over_time = time_gradients(model, end.sample)
            return replace(facts, end=replace(end, time_gradients=over_time))
        return facts

    def _training(self, monitor: StepMonitor) -> TrainingFacts:
        records = monitor.records()
        return TrainingFacts(
            variables=tuple(map(str, records["variable"])),
            shapes=tuple(monitor.shapes),
            **{name: records[name] for name in RECORDED},
            logs={name: list(values) for name, values in self.logs.items()},
            steps_per_epoch=self.steps,
            epochs=self.epochs,
            is_over=self.is_over,
            identical_units=self._identical,
            batch_size=self._batch_size,
            reads_dataset=self._reads_dataset,
        )
