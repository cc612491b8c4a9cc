"""A callback that diagnoses a training run while it runs."""

import html
import math
import sys
from dataclasses import replace

import keras
import numpy as np

from zoo.backend.keras_fit_internals import fit_frame, fit_variables
from zoo.backend.keras_internals import is_inside_fit
from zoo.differentiation import unchanged_state
from zoo.utils.arguments import check_choice, invalid_argument, is_integer

from ..monitors.step_monitor import StepMonitor
from ..train_step import BatchSample
from .data.dependence import applies_to
from .data.leak import Leak, find_leak
from .data.sample_data import Sample, take_sample
from .facts import Facts
from .finding import Finding
from .outcome import outcome_of
from .ranking import judge
from .reading.model_facts import ModelFacts, read_model
from .report.report import DiagnosisReport, report_of
from .run.noting_errors import noting_errors
from .run.pass_facts import PassFacts, run_pass
from .run.seen_data import SeenData
from .run.time_gradients import time_gradients
from .run.training_facts import RECORDED, TrainingFacts
from .run.weights import as_tensors, copy_weights, identical_units

SAMPLE_SIZE = 256  # examples of a batch
NUM_SAMPLES = 64  # in the first epoch, if its length is known
# Attributes that a resumed training run sets itself.
NOT_STATE = (
    *("params", "_model", "_monitor", "_initial", "_last_batch_sample"),
    *("_leak", "_validation"),  # a new program finds them in the arguments of `fit`
)


class Diagnosis(keras.callbacks.Callback):
    """Finds out what is wrong with a training run, and says what to do.

    The callback records updates as `UpdateRatio` does, reads the model, the logs and a
    sample of the batches, and compares them with what should be possible: a constant
    predictor, a simple model, and the loss that the initial weights should have. It
    prints a finding once, when it is sure. It never stops or changes training.

    Learning-rate schedules, dropout, normalization, frozen layers, mixed precision and
    clipping are taken into account. An unknown loss, a custom training step or a layer
    that cannot be read is not judged; the report says so. Healthy training runs should
    give no finding other than hints.

    Args:
        verbose: 0 or 1: whether `fit` prints errors and warnings. Defaults to `1`.
        every: Integer >= 1: record every `every`-th step, starting with the first.
            Defaults to `50`.

    Attributes:
        report: The `DiagnosisReport` of the last call to `fit`.

    Raises:
        ValueError: If an argument is invalid. Also raised by `fit` if the model has no
            Keras optimizer.

    Example:

    >>> x = np.random.default_rng(0).normal(size=(64, 3))
    >>> layers = [keras.Input((3,)), keras.layers.Dense(2, name="output")]
    >>> model = keras.Sequential(layers)
    >>> model.compile("adam", loss="sparse_categorical_crossentropy")
    >>> diagnosis = Diagnosis(verbose=0)
    >>> history = model.fit(
    ...     x, (x[:, 0] > 0) * 1, verbose=0, callbacks=[diagnosis]
    ... )
    >>> [(one.cause, one.severity) for one in diagnosis.report.findings]
    [('loss_head_mismatch', 'error')]
    """

    _report: DiagnosisReport | None

    def __init__(self, verbose: int = 1, every: int = 50):
        super().__init__()
        if is_integer(verbose) and verbose > 1:
            fix = f"For the steps between records, write `Diagnosis(every={verbose})`."
            raise invalid_argument("verbose", "0 or 1", verbose, fix)
        if isinstance(verbose, keras.Model):
            fix = (
                "Pass the callback to `fit`: `model.fit(..., callbacks=[Diagnosis()])`."
                " Before training, call `diagnose(model, x, y)`."
            )
            raise invalid_argument("verbose", "0 or 1", type(verbose).__name__, fix)
        self.verbose = check_choice("verbose", verbose, (0, 1))
        self._monitor = StepMonitor(every, log_dir=None)
        self._monitor.sample_size = SAMPLE_SIZE
        self._start_over()

    @property
    def every(self) -> int:
        """Number of steps from one record to the next."""
        return self._monitor.every

    @property
    def report(self) -> DiagnosisReport:
        """The report on the last call to `fit`, or on the current one so far.

        A run that was interrupted is judged like one that has ended.
        """
        if not self._is_over and not is_inside_fit(sys._getframe()):
            self._finish()
        if self._report is None:
            self._report = self._make_report()
        return self._report

    def set_params(self, params):
        super().set_params(params)
        self._monitor.set_params(params)

    def set_model(self, model):
        super().set_model(model)
        self._monitor.set_model(model)

    def on_train_begin(self, logs=None):
        self._start_over()
        self._epochs = (self.params or {}).get("epochs")
        self._steps = (self.params or {}).get("steps")
        between = self.every if self._steps is None else self._steps // NUM_SAMPLES
        self._monitor.sample_every = min(self.every, max(1, between))
        self._monitor.on_train_begin(logs)
        self._is_over = False
        model = self.model
        with noting_errors("the validation data", self._failed):
            self._look_at_validation()
        if model.built and type(model).call is not keras.Model.call:
            with noting_errors("the model", self._failed):
                self._initial = copy_weights(model)
                self._read = read_model(model)

    def on_epoch_begin(self, epoch, logs=None):
        self._monitor.on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        self._monitor.on_train_batch_begin(batch, logs)
        self._report = None
        self._is_over = False
        self._last_batch = batch
        self._gather_sample()
        if self._seen.samples and not self._has_looked:
            self._look()

    def on_train_batch_end(self, batch, logs=None):
        self._monitor.on_train_batch_end(batch, logs)
        self._has_stepped = True

    def on_epoch_end(self, epoch, logs=None):
        self._monitor.on_epoch_end(epoch, logs)
        self._report = None
        self._steps = self._steps or self._last_batch + 1
        for name, value in (logs or {}).items():
            if np.ndim(value) == 0:
                self._logs.setdefault(name, []).append(float(value))
        self._gather_sample()
        if not self._has_looked:
            self._look()
        is_finite = math.isfinite((logs or {}).get("loss", 0.0))
        if not is_finite and not self._has_failed:
            self._has_failed = True
            self._say_so_far("failure")

    def on_train_end(self, logs=None):
        self._monitor.on_train_end(logs)
        self._finish()
        if self.verbose:
            self._say(self.report.findings)

    def get_state(self) -> dict:
        """Returns what was seen and found so far, for `ResumeTraining`."""
        self._gather_sample()
        return {
            "own": {k: value for k, value in vars(self).items() if k not in NOT_STATE},
            "monitor": self._monitor.get_state(),
            "initial": [value for _, value in self._initial],
        }

    def set_state(self, state: dict) -> None:
        """Restores a result of `get_state()`."""
        epochs = self._epochs
        self._monitor.set_state(state["monitor"])
        # There are no values after the first look.
        pairs = zip(self._initial, state["initial"], strict=False)
        self._initial = [(variable, value) for (variable, _), value in pairs]
        self.__dict__.update(state["own"])
        if not self._is_over:
            self._epochs = epochs  # may have grown
            if self._seen.is_complete:
                self._monitor.stop_samples()

    def __repr__(self) -> str:
        if self._read is None:
            return "Diagnosis: nothing looked at yet."
        if not self._is_over:
            return "Diagnosis: training has not ended yet."
        return f"Diagnosis: {self.report.verdict}"

    def _repr_html_(self) -> str:
        is_known = self._read is not None and self._is_over
        return self.report._repr_html_() if is_known else html.escape(repr(self))

    def __getstate__(self):
        # The report replaces the data and weights that it is based on.
        dropped = {"_initial": [], "_last_batch_sample": None, "_validation": None}
        seen = {"_report": self.report, "_seen": SeenData(SAMPLE_SIZE)}
        return vars(self) | seen | dropped | {"_is_over": True}

    def _start_over(self):
        self._is_over = True
        self._report = None
        self._read: ModelFacts | None = None
        self._initial: list[tuple] = []
        self._seen = SeenData(SAMPLE_SIZE)
        self._last_batch_sample: BatchSample | None = None
        self._has_looked = False
        self._has_stepped = False
        self._has_failed = False
        self._failed: list[str] = []
        self._missing: dict[str, str] = {}
        self._start: PassFacts | None = None
        self._end: PassFacts | None = None
        self._logs: dict[str, list[float]] = {}
        self._printed: set[tuple] = set()
        self._leak: Leak | None = None
        self._validation: Sample | None = None
        self._identical: tuple[str, ...] = ()
        self._epochs: int | None = None
        self._steps: int | None = None
        self._last_batch = 0

    def _look_at_validation(self) -> None:
        """Compares validation arrays with training arrays, and keeps some of them."""
        frame = fit_frame(self.model, sys._getframe())
        if frame is None:
            return
        arguments = fit_variables(frame)
        validation = arguments["validation_data"]
        self._leak = find_leak(arguments["x"], validation)
        if self._leak is not None:
            self._validation = take_sample(*validation)

    def _gather_sample(self) -> None:
        """Adds the latest sample to those of the first epoch.

        Samples of different steps show whether batches differ, as sorted ones do.
        """
        if self._seen.is_complete:
            return
        batch = self._monitor.batch_sample()
        if batch is not None and batch is not self._last_batch_sample:
            self._last_batch_sample = batch
            self._missing |= batch.missing
            if not batch.missing and batch.y is not None:
                self._seen.add(Sample(batch.x, batch.y, batch.sample_weight))
        if self._logs:  # the first epoch has ended
            self._seen.is_complete = True
            self._monitor.stop_samples()

    def _look(self) -> None:
        """Looks once at the initial weights, with the first sample if there is one."""
        self._has_looked = True
        with noting_errors("the first batch", self._failed):
            if self.model.built:
                self._look_at_first()
        self._initial = []
        start = self._start
        is_finite = start is None or start.loss is None or math.isfinite(start.loss)
        self._say_so_far("model" if is_finite else "first_pass")

    def _look_at_first(self) -> None:
        """Reads the model and passes a sample through its initial weights."""
        model, before = self.model, self._read
        sample = self._seen.samples[0] if self._seen.samples else None
        if before is None or (before.graph is None and sample is not None):
            with unchanged_state(as_tensors(self._initial)):
                x, y = (None, None) if sample is None else (sample.x, sample.y)
                self._read = read_model(model, x, y)
            if before is not None:
                self._read = replace(self._read, optimizer=before.optimizer)
        if self._initial and sample is not None:
            self._start = run_pass(model, sample, as_tensors(self._initial))

    def _finish(self) -> None:
        """Looks at the model after training, or after training was interrupted."""
        self._is_over = True
        self._report = None
        if self._read is None:
            return
        if not self._has_stepped:  # the first step has failed
            self._gather_sample()
            with noting_errors("the first batch", self._failed):
                self._look_at_first()
            return
        with noting_errors("the trained model", self._failed):
            self._identical = identical_units(self.model)
            if self._seen.samples:
                self._end = run_pass(
                    self.model, self._seen.latest(), batch_size=self._seen.batch_size
                )

    def _make_report(self) -> DiagnosisReport:
        if self._read is None:
            return DiagnosisReport((), not_seen=self._not_seen())
        facts = Facts(self._read)
        findings: tuple[Finding, ...] = ()
        with noting_errors("the findings", self._failed):
            facts = self._facts()
            # A run that failed in its first epoch has no result to judge.
            findings = judge(facts, "end" if self._logs else "first_pass")
        return report_of(facts, findings, self._not_seen())

    def _not_seen(self) -> tuple[str, ...]:
        missing = [f"`{name}` of a batch: {why}" for name, why in self._missing.items()]
        return (*self._failed, *missing)

    def _facts(self) -> Facts:
        """Returns all facts.

        Simple models are fitted only after a run that is not known to be good, and
        gradients over time are computed only after a run that was harmed.
        """
        read = self._read
        trivial = self._seen.trivial(self.model, read, self._steps)
        self._end = self._seen.compared(self._end, self.model, read)
        facts = Facts(
            model=read,
            data=self._seen.describe(read, dependence=False),
            start=self._start,
            end=self._end,
            training=self._training() if self._has_stepped else None,
            trivial=trivial,
            leak=self._leak,
            validation_constant=self._seen.constant_on(
                self._validation, self.model, read
            ),
        )
        if not self._is_over or outcome_of(facts).is_good:
            return facts
        if applies_to(read):
            data = self._seen.describe(read, dependence=True)
            facts = replace(facts, data=data)
        return self._look_back(facts) if outcome_of(facts).is_harmed else facts

    def _look_back(self, facts: Facts) -> Facts:
        """Adds how far back in time the loss of a recurrent network depends."""
        end = facts.end
        if end is None or end.sample is None:
            return facts
        with noting_errors("gradients over time", self._failed):
            over_time = time_gradients(self.model, end.sample)
            return replace(facts, end=replace(end, time_gradients=over_time))
        return facts

    def _training(self) -> TrainingFacts:
        records = self._monitor.records()
        return TrainingFacts(
            variables=tuple(map(str, records["variable"])),
            shapes=tuple(self._monitor.shapes),
            **{name: records[name] for name in RECORDED},
            logs={name: list(values) for name, values in self._logs.items()},
            steps_per_epoch=self._steps,
            epochs=self._epochs,
            is_over=self._is_over,
            identical_units=self._identical,
        )

    def _say_so_far(self, moment: str) -> None:
        """Prints what can be judged in the middle of a run."""
        if self.verbose and self._read is not None:
            with noting_errors("the findings so far", self._failed):
                self._say(judge(self._facts(), moment))

    def _say(self, findings) -> None:
        """Prints errors and warnings that have not been printed yet."""
        for one in findings:
            key = one.cause, one.where
            if one.severity != "hint" and key not in self._printed:
                self._printed.add(key)
                print(f"\n{one}", flush=True)
