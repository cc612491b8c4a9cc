"""A callback that diagnoses a training run while it runs."""

import copy
import html
import math
import sys

import keras
import numpy as np

from zoo.backend.keras_internals import is_inside_fit
from zoo.utils.arguments import invalid_argument, is_integer

from ..monitors.step_monitor import StepMonitor
from ..train_step import BatchSample
from .facts import Facts
from .finding import Finding
from .observed_run import SAMPLE_SIZE, ObservedRun
from .ranking import judge
from .report.report import DiagnosisReport, report_of
from .run.noting_errors import noting_errors

NUM_SAMPLES = 64  # in the first epoch, if its length is known
# Attributes that a resumed training run sets itself.
NOT_STATE = ("params", "_model", "_monitor", "_run", "_last_batch_sample")


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
        if verbose not in (0, 1):
            raise invalid_argument("verbose", "0 or 1", verbose, _fix(verbose))
        self.verbose = verbose
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
        if not self._run.is_over and not is_inside_fit(sys._getframe()):
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
        run, params = self._run, self.params or {}
        run.epochs, run.steps = params.get("epochs"), params.get("steps")
        between = self.every if run.steps is None else run.steps // NUM_SAMPLES
        self._monitor.sample_every = min(self.every, max(1, between))
        self._monitor.on_train_begin(logs)
        run.begin(self.model)

    def on_epoch_begin(self, epoch, logs=None):
        self._monitor.on_epoch_begin(epoch, logs)

    def on_train_batch_begin(self, batch, logs=None):
        self._monitor.on_train_batch_begin(batch, logs)
        self._report = None
        self._run.is_over = False
        self._last_batch = batch
        self._gather_sample()
        if self._run.seen.samples and not self._has_looked:
            self._look()

    def on_train_batch_end(self, batch, logs=None):
        self._monitor.on_train_batch_end(batch, logs)
        self._run.has_stepped = True

    def on_epoch_end(self, epoch, logs=None):
        self._monitor.on_epoch_end(epoch, logs)
        self._report = None
        self._run.steps = self._run.steps or self._last_batch + 1
        for name, value in (logs or {}).items():
            if np.ndim(value) == 0:
                self._run.logs.setdefault(name, []).append(float(value))
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
            "run": self._run.get_state(),
        }

    def set_state(self, state: dict) -> None:
        """Restores a result of `get_state()`."""
        self._monitor.set_state(state["monitor"])
        self._run.set_state(state["run"])
        self.__dict__.update(state["own"])
        if not self._run.is_over and self._run.seen.is_complete:
            self._monitor.stop_samples()

    def __repr__(self) -> str:
        if self._run.read is None:
            return "Diagnosis: nothing looked at yet."
        if not self._run.is_over:
            return "Diagnosis: training has not ended yet."
        return f"Diagnosis: {self.report.verdict}"

    def _repr_html_(self) -> str:
        is_known = self._run.read is not None and self._run.is_over
        return self.report._repr_html_() if is_known else html.escape(repr(self))

    def __getstate__(self):
        # The report replaces what it is based on.
        dropped = {"_report": self.report, "_last_batch_sample": None}
        return vars(self) | dropped | {"_run": copy.copy(self._run)}

    def _start_over(self):
        self._report = None
        self._run = ObservedRun()
        self._last_batch_sample: BatchSample | None = None
        self._last_batch = 0
        self._has_looked = False
        self._has_failed = False
        self._printed: set[tuple] = set()

    def _gather_sample(self) -> None:
        """Adds the latest sample to those of the first epoch.

        Samples of different steps show whether batches differ, as sorted ones do.
        """
        seen = self._run.seen
        if seen.is_complete:
            return
        batch = self._monitor.batch_sample()
        if batch is not None and batch is not self._last_batch_sample:
            self._last_batch_sample = batch
            self._run.add(batch)
        if self._run.logs:  # the first epoch has ended
            seen.is_complete = True
            self._monitor.stop_samples()

    def _look(self) -> None:
        """Looks once at the initial weights, with the first sample if there is one."""
        self._has_looked = True
        self._run.look_at_first(self.model)
        self._say_so_far("model" if self._run.starts_finite else "first_pass")

    def _finish(self) -> None:
        """Looks at the model after training, or after training was interrupted."""
        self._run.is_over = True
        self._report = None
        if self._run.read is not None:
            if not self._run.has_stepped:  # the first step has failed
                self._gather_sample()
            self._run.look_at_end(self.model)

    def _make_report(self) -> DiagnosisReport:
        run = self._run
        if run.read is None:
            return DiagnosisReport((), not_seen=run.not_seen)
        facts = Facts(run.read)
        findings: tuple[Finding, ...] = ()
        with noting_errors("the findings", run.failed):
            facts = run.facts(self.model, self._monitor)
            # A run that failed in its first epoch has no result to judge.
            findings = judge(facts, "end" if run.logs else "first_pass")
        return report_of(facts, findings, run.not_seen)

    def _say_so_far(self, moment: str) -> None:
        """Prints what can be judged in the middle of a run."""
        run = self._run
        if self.verbose and run.read is not None:
            with noting_errors("the findings so far", run.failed):
                self._say(judge(run.facts(self.model, self._monitor), moment))

    def _say(self, findings) -> None:
        """Prints errors and warnings that have not been printed yet."""
        for one in findings:
            key = one.cause, one.where
            if one.severity != "hint" and key not in self._printed:
                self._printed.add(key)
                print(f"\n{one}", flush=True)


def _fix(verbose) -> str:
    """Shows the call for another argument in place of `verbose`."""
    if is_integer(verbose):
        return f"For the steps between records, write `Diagnosis(every={verbose})`."
    if isinstance(verbose, keras.Model):
        return (
            "Pass the callback to `fit`: `model.fit(..., callbacks=[Diagnosis()])`. "
            "Before training, call `diagnose(model, x, y)`."
        )
    return ""
