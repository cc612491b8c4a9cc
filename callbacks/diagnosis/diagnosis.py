"""A callback that diagnoses a training run while it runs."""

import contextlib
import math
from collections.abc import Iterator
from dataclasses import replace

import keras
import numpy as np

from zoo.differentiation import unchanged_state
from zoo.utils.arguments import check_choice

from ..monitors.step_monitor import StepMonitor
from ..train_step import BatchSample
from .data.dependence import applies_to
from .data.sample_data import Sample
from .facts import Facts
from .outcome import outcome_of
from .ranking import judge, rank
from .reading.model_facts import ModelFacts, read_model
from .report.report import DiagnosisReport, report_of
from .run.pass_facts import PassFacts, run_pass
from .run.seen_data import SeenData
from .run.training_facts import TrainingFacts

MAX_SAVED = 2**24  # entries of the initial weights that are kept, 64 MiB in float32
NUM_SAMPLES = 64  # in the first epoch, if its length is known
IDENTICAL = 1e-6  # difference between units, relative to their weights


class Diagnosis(StepMonitor):
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

    sample_size = 256
    _last_batch_sample: BatchSample | None = None

    def __init__(self, verbose: int = 1, every: int = 50):
        super().__init__(every, log_dir=None)
        self.verbose = check_choice("verbose", verbose, (0, 1))
        self._start_over()

    @property
    def report(self) -> DiagnosisReport:
        """The report on the last call to `fit`, or on the current one so far."""
        if self._read is None:
            return DiagnosisReport((), not_seen=self._not_seen())
        self._collect()
        facts = self._facts(dependence=True)
        return report_of(facts, judge(facts), self._not_seen())

    def sample(self) -> tuple | None:
        """Returns examples of a batch as the training step sees them.

        Returns:
            A tuple `(x, y, sample_weight)` of NumPy arrays, or structures of arrays,
            with up to 256 examples, or `None` if no batch was captured.
        """
        if self._train_function is None:
            return None
        batch = self._train_function.batch_sample()
        if batch is None or batch is self._last_batch_sample:
            return None
        self._last_batch_sample = batch
        self._missing |= batch.missing
        if batch.missing:
            return None
        return batch.x, batch.y, batch.sample_weight

    def on_train_begin(self, logs=None):
        steps = (self.params or {}).get("steps")
        between = self.every if steps is None else steps // NUM_SAMPLES
        self.sample_every = min(self.every, max(1, between))
        super().on_train_begin(logs)
        self._start_over()
        self._epochs = (self.params or {}).get("epochs")
        self._steps = steps
        model = self.model
        if model.built and type(model).call is not keras.Model.call:
            with self._noting_errors("the model"):
                self._read = read_model(model)
                self._initial = _values(model)
                self._say(judge(Facts(self._read), "model"))

    def on_train_batch_begin(self, batch, logs=None):
        super().on_train_batch_begin(batch, logs)
        self._last_batch = batch
        self._gather_sample()

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self._steps = self._steps or self._last_batch + 1
        for name, value in (logs or {}).items():
            if np.ndim(value) == 0:
                self._logs.setdefault(name, []).append(float(value))
        self._gather_sample()
        with self._noting_errors("the first batch"):
            self._look(is_finite=math.isfinite((logs or {}).get("loss", 0.0)))

    def on_train_end(self, logs=None):
        super().on_train_end(logs)
        self._is_over = True
        if self._read is None:
            return
        with self._noting_errors("the trained model"):
            self._identical = tuple(_identical_units(self.model))
            if self._seen.samples:
                self._end = run_pass(self.model, self._seen.samples[-1])
        with self._noting_errors("the training run"):
            self._say(judge(self._facts()) if self.verbose else ())

    def __getstate__(self):
        return super().__getstate__() | {"_initial": {}}

    def _start_over(self):
        self._read: ModelFacts | None = None
        self._initial: dict[int, np.ndarray] = {}
        self._seen = SeenData(self.sample_size)
        self._last_found: tuple | None = None
        self._has_looked = False
        self._failed: list[str] = []
        self._missing: dict[str, str] = {}
        self._last_batch_sample = None
        self._start: PassFacts | None = None
        self._end: PassFacts | None = None
        self._logs: dict[str, list[float]] = {}
        self._printed: set[tuple] = set()
        self._identical: tuple[str, ...] = ()
        self._epochs: int | None = None
        self._steps: int | None = None
        self._last_batch = 0
        self._is_over = False

    def _not_seen(self) -> tuple[str, ...]:
        missing = [f"`{name}` of a batch: {why}" for name, why in self._missing.items()]
        return (*self._failed, *missing)

    def _gather_sample(self) -> None:
        """Adds the latest sample to those of the first epoch.

        Samples of different steps show whether batches differ, as sorted ones do.
        """
        if self._seen.is_complete:
            return
        found = self.sample()
        if found is not None and found is not self._last_found:
            self._last_found = found
            if found[1] is not None:
                self._seen.add(Sample(*found))
        if self._logs:  # the first epoch has ended
            self._seen.is_complete = True
            self._train_function.stop_samples(self)

    def _look(self, *, is_finite: bool) -> None:
        """Looks at the first sample, and at losses that are not finite."""
        is_first = self._read is None or (self._seen.samples and not self._has_looked)
        if is_first and self.model.built:
            self._look_at_first()
        if self._read is not None and self.verbose and (is_first or not is_finite):
            self._say(judge(self._facts(), "model" if is_finite else "failure"))

    def _look_at_first(self) -> None:
        """Reads the model and passes a sample through its initial weights."""
        model = self.model
        pairs = [
            (one, self._initial[id(one)])
            for one in model.variables
            if id(one) in self._initial
        ]
        sample = self._seen.samples[0] if self._seen.samples else None
        self._has_looked = sample is not None
        if self._read is None or (self._read.graph is None and sample is not None):
            before = self._read
            with unchanged_state(_tensors(pairs)):
                x, y = (None, None) if sample is None else (sample.x, sample.y)
                self._read = read_model(model, x, y)
            if before is not None:
                self._read = replace(self._read, optimizer=before.optimizer)
        if pairs and sample is not None:
            self._start = run_pass(model, sample, _tensors(pairs))

    @contextlib.contextmanager
    def _noting_errors(self, what: str) -> Iterator[None]:
        """Keeps an error in the diagnosis from stopping `fit`; the report states it."""
        try:
            yield
        except Exception as error:
            text = str(error).strip().partition("\n")[0]
            self._failed.append(f"{what} ({type(error).__name__}: {text})")

    def _facts(self, *, dependence: bool = True) -> Facts:
        """Returns all facts.

        Simple models are fitted only after a run that is not known to be good.
        """
        read = self._read
        trivial = self._seen.trivial(self.model, read, self._steps)
        self._end = self._seen.compared(self._end, self.model, read)
        facts = Facts(
            model=read,
            data=self._seen.describe(read, dependence=False),
            start=self._start,
            end=self._end,
            training=self._training(),
            trivial=trivial,
        )
        is_bad = self._is_over and not outcome_of(facts).is_good
        if not (dependence and is_bad and applies_to(read)):
            return facts
        return replace(facts, data=self._seen.describe(read, dependence=True))

    def _training(self) -> TrainingFacts:
        info = self._info()
        return TrainingFacts(
            variables=tuple(map(str, info["variable"])),
            shapes=tuple(self._shapes),
            step=info["step"],
            epoch=info["epoch"],
            learning_rate=info["learning_rate"],
            skipped=info["skipped"],
            gradient_norm=self._array_of_all("gradient_norm"),
            weight_norm=self._array_of_all("weight_norm"),
            update_norm=self._array_of_all("update_norm"),
            logs={name: list(values) for name, values in self._logs.items()},
            steps_per_epoch=self._steps,
            epochs=self._epochs,
            is_over=self._is_over,
            identical_units=self._identical,
        )

    def _say(self, findings) -> None:
        """Prints errors and warnings that have not been printed yet."""
        for one in rank(list(findings)):
            key = one.cause, one.where
            if self.verbose and one.severity != "hint" and key not in self._printed:
                self._printed.add(key)
                print(f"\n{one}", flush=True)


def _values(model: keras.Model) -> dict[int, np.ndarray]:
    """Returns copies of all variables by id; empty if they are too large."""
    if sum(math.prod(one.shape) for one in model.variables) > MAX_SAVED:
        return {}
    return {
        id(one): np.array(keras.ops.convert_to_numpy(one)) for one in model.variables
    }


def _tensors(pairs: list[tuple]) -> list[tuple]:
    return [
        (one, keras.ops.convert_to_tensor(value, dtype=one.dtype))
        for one, value in pairs
    ]


def _identical_units(model: keras.Model):
    """Yields the names of trainable kernels whose units all have the same weights."""
    prefix = f"{model.name}/"
    for variable in model.trainable_variables:
        if len(variable.shape) < 2 or variable.shape[-1] < 2:
            continue
        if not variable.path.endswith("kernel"):
            continue
        values = np.asarray(keras.ops.convert_to_numpy(variable))
        values = values.reshape(-1, values.shape[-1])
        # Two units tell in nearly all cases that the units differ.
        if _are_identical(values[:, :2]) and _are_identical(values):
            yield variable.path.removeprefix(prefix)


def _are_identical(values: np.ndarray) -> bool:
    values = values.astype("float64")
    size = np.abs(values).max()
    return bool(size > 0 and np.abs(values - values[:, :1]).max() <= IDENTICAL * size)
