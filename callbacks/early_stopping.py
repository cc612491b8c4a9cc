"""Early stopping that handles NaN and restarts, and keeps the best weights on disk."""

import math
import os
import warnings
from pathlib import Path
from typing import Any

import keras

from zoo.backend.keras_internals import set_monitor_operation
from zoo.utils.arguments import (
    check_choice,
    check_integer,
    invalid_argument,
    is_number,
)
from zoo.utils.metric_names import is_accuracy
from zoo.utils.printable import Printable
from zoo.utils.saved_attributes import SavedAttributes

from . import stopping_messages as messages
from .best_weights import BestWeights


class EarlyStopping(Printable, SavedAttributes, keras.callbacks.EarlyStopping):
    """Stops training when a monitored metric has stopped improving.

    For finite values, this callback behaves like `keras.callbacks.EarlyStopping`, with
    the same arguments and defaults. The differences and additions are:

    - A NaN or infinite value never becomes the best value, and its epoch counts as an
      epoch without improvement. In Keras, a NaN in the first monitored epoch remains
      the best value forever.
    - The best weights are kept on disk, not in memory. All variables of the model are
      preserved, including LoRA adapters, quantized kernels and seeds. With
      `restore_best_weights`, they are restored when `fit` ends, whether or not it
      stopped early. The state of the optimizer is not changed. After an exception or an
      interrupt, call `restore_best()` to restore the best weights.
    - With a `filepath`, the best value and its epoch are read from the file when
      training resumes after a restart.
    - Training can also stop immediately: when the metric is not finite, reaches a
      target, or diverges.

    Monitoring starts at `start_from_epoch`. The logs of the first monitored epoch must
    contain the metric. Therefore, with `validation_freq=n`, pass
    `start_from_epoch=n - 1`. Later epochs whose logs do not contain the metric are
    skipped.

    Args:
        monitor: Name of a metric in the logs. Defaults to `"val_loss"`.
        min_delta: Minimum improvement. A change of at most `min_delta` does not count
            as an improvement. Defaults to `0`.
        patience: Number of epochs without improvement after which training stops.
            Defaults to `0`.
        verbose: If 1, the callback prints the reason for stopping early, and a message
            when weights are restored. If 0, it prints nothing. Defaults to `0`.
        mode: "min", "max", or "auto", which infers the direction for losses, accuracies
            and Keras metrics. Defaults to `"auto"`.
        baseline: Value that the metric must improve on within `patience` epochs.
            Defaults to `None`, which means no baseline.
        restore_best_weights: Whether to restore the weights of the best epoch when
            `fit` ends. Defaults to `False`.
        start_from_epoch: First epoch to monitor, counted from 0. Defaults to `0`.
        min_delta_mode: "absolute" or "relative". In relative mode, `min_delta` is a
            fraction of the current best value, for example 0.01 for one percent.
            Defaults to `"absolute"`.
        check_finite: Whether to stop immediately when the metric is NaN or infinite.
            Defaults to `False`.
        stopping_threshold: Training stops immediately when the metric reaches this
            value. Defaults to `None`, which means no threshold.
        divergence_threshold: Training stops immediately when the metric is worse than
            this value. Defaults to `None`, which means no threshold.
        filepath: Path of the file in which to save the best weights. It must end in
            ".weights.h5". The file is kept after training and can be read with
            `model.load_weights`. An existing file is replaced, unless it contains
            better weights for the same monitor, mode and model. The best value in the
            file is reused if `fit` resumes training: its initial epoch must be greater
            than 0 (as with `BackupAndRestore` or `initial_epoch`) and not earlier than
            the epoch recorded in the file. Otherwise, only epochs of the current call
            to `fit` can become the best epoch, and a warning is issued at the end if
            the file still contains better weights. When Keras saves a model, it merges
            LoRA adapters into the kernels, so `load_weights` restores only the merged
            kernels. `restore_best()` restores the kernels and the adapters separately.
            Defaults to `None`. In that case, the weights are saved to a temporary
            folder if `restore_best_weights` is set, and are not saved otherwise. The
            temporary folder is deleted when the callback is garbage-collected or Python
            exits.

    Attributes:
        best: Best value of the metric, or `None` if no value was finite.
        best_epoch: Epoch of the best value, counted from 0, or `None` if there is no
            best value.
        stopped_epoch: Epoch after which training was stopped, counted from 0, or 0 if
            training was not stopped.
        reason: Reason for stopping as a text, or `None` if training was not stopped. In
            this text and in printed messages, epochs are counted from 1, as in the
            progress bar.

    Raises:
        ValueError: If an argument is invalid, if the logs of the first monitored epoch
            do not contain the metric, or if `mode="auto"` cannot infer the direction of
            the metric. Also raised by `fit` if `filepath` is given and Keras cannot
            save the model exactly: either a quantized layer has a LoRA adapter (Keras
            would round the merged weights), or the model is not built and has no `call`
            method.
        OSError: Raised by `fit` if the folder of `filepath` is not writable.

    Example:

    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile(keras.optimizers.SGD(1e-3), loss="mse")
    >>> x, y = np.zeros((8, 1)), np.ones(8)
    >>> stopping = EarlyStopping(
    ...     "loss", min_delta=0.9, min_delta_mode="relative", patience=2, verbose=1
    ... )
    >>> history = model.fit(x, y, epochs=10, verbose=0, callbacks=[stopping])
    Epoch 3: early stopping, since loss has not improved on 1 (epoch 1) for 2 epochs.
    >>> stopping.best_epoch, len(history.epoch)
    (0, 3)
    """

    saved_attributes = (
        "best",
        "best_epoch",
        "wait",
        "stopped_epoch",
        "reason",
        "_has_restored",
        "_was_in_logs",
        "_first_epoch",
        "_record",
        "_value_in_file",
        "_weights",
    )

    def __init__(
        self,
        monitor: str = "val_loss",
        min_delta: float = 0,
        patience: int = 0,
        verbose: int = 0,
        mode: str = "auto",
        baseline: float | None = None,
        restore_best_weights: bool = False,
        start_from_epoch: int = 0,
        *,
        min_delta_mode: str = "absolute",
        check_finite: bool = False,
        stopping_threshold: float | None = None,
        divergence_threshold: float | None = None,
        filepath: str | os.PathLike | None = None,
    ):
        if not isinstance(monitor, str):
            raise messages.wrong_monitor(monitor)
        check_choice("mode", mode, ("auto", "min", "max"))
        check_choice("verbose", verbose, (0, 1))
        check_choice("min_delta_mode", min_delta_mode, ("absolute", "relative"))
        check_choice("restore_best_weights", restore_best_weights, (True, False))
        check_choice("check_finite", check_finite, (True, False))
        check_integer("patience", patience, minimum=0)
        check_integer("start_from_epoch", start_from_epoch, minimum=0)
        if not is_number(min_delta):
            raise invalid_argument("min_delta", "a finite number", min_delta)
        for name, value in (
            ("baseline", baseline),
            ("stopping_threshold", stopping_threshold),
            ("divergence_threshold", divergence_threshold),
        ):
            if value is not None and not is_number(value):
                raise invalid_argument(name, "a finite number or None", value)
        if filepath is not None and not str(filepath).endswith(".weights.h5"):
            raise invalid_argument(
                "filepath", "a path that ends in '.weights.h5'", str(filepath)
            )
        if mode == "auto" and is_accuracy(monitor):
            mode = "max"
        super().__init__(
            monitor=monitor,
            min_delta=min_delta,
            patience=patience,
            verbose=verbose,
            mode=mode,
            baseline=baseline,
            restore_best_weights=restore_best_weights,
            start_from_epoch=start_from_epoch,
        )
        self.min_delta_mode = min_delta_mode
        self.check_finite = check_finite
        self.stopping_threshold = stopping_threshold
        self.divergence_threshold = divergence_threshold
        self.filepath = filepath
        self.best_epoch: int | None = None
        self.reason: str | None = None
        self._first_epoch: Any = None  # a number after the first epoch
        self._has_restored = False
        self._weights: BestWeights | None = None

    def on_train_begin(self, logs=None):
        super().on_train_begin(logs)
        self.best = None  # Keras 3.12 keeps the value of the previous `fit`
        self.best_epoch = None
        self.reason = None
        self._has_restored = self._was_in_logs = False
        self._first_epoch = None
        self._record = self._value_in_file = None
        self._weights = None
        if self.filepath is not None or self.restore_best_weights:
            self._weights = BestWeights(self.filepath and Path(self.filepath))
            self._weights.check(self.model)

    def on_epoch_end(self, epoch, logs=None):
        if self._first_epoch is None:
            self._first_epoch = epoch
            self._read_file()
        if epoch < self.start_from_epoch:
            return
        value = self.get_monitor_value(logs)
        if value is None:
            return
        if self.monitor_op is None:
            set_monitor_operation(self)
        self._take_over_record()

        self.wait += 1
        improved = math.isfinite(value) and self._improves(value, self.best)
        if improved:
            # As in Keras, patience is not reset until the baseline has been passed.
            if self.baseline is None or self._improves(value, self.baseline):
                self.wait = 0
            self._keep(value, epoch)
        # As in Keras, running out of patience never stops training after epoch 0.
        patient = improved or self.wait < self.patience or epoch == 0
        self.reason = messages.immediate_reason(self, value)
        if self.reason is None and not patient:
            self.reason = messages.reason_of_patience(self, self._improves)
        if self.reason is not None:
            self.stopped_epoch = epoch
            self.model.stop_training = True

    def on_train_end(self, logs=None):
        if self.reason is not None and self.verbose:
            print(
                f"Epoch {self.stopped_epoch + 1}: early stopping, since {self.reason}."
            )
        if self.restore_best_weights and self.best_epoch is not None:
            self.restore_best()
            if self.verbose:
                print(f"Restored the weights of the best epoch: {self.best_epoch + 1}.")
        if self._file_is_better(self.best):
            message = messages.file_is_better(self, self._value_in_file)
            warnings.warn(message, stacklevel=2)

    def set_state(self, state: dict) -> None:
        """Restores a result of `get_state()`."""
        super().set_state(state)
        if self._weights is not None:
            self._weights.move_to(Path(self.filepath) if self.filepath else None)
        if self.best is not None and self.monitor_op is None:
            set_monitor_operation(self)

    def restore_best(self) -> None:
        """Loads the weights of the best epoch of the last call to `fit`.

        With `restore_best_weights`, `fit` already does this, unless it ends with an
        exception.

        Raises:
            ValueError: If no weights were saved.
        """
        if self._weights is None or not self._weights.are_kept:
            raise messages.nothing_to_restore(self)
        self._weights.restore(self.model)
        self._has_restored = True

    def get_monitor_value(self, logs) -> float | None:
        """Returns the value of the metric in the logs.

        Returns `None` if only earlier logs contained the metric.
        """
        if self.monitor in (logs or {}):
            self._was_in_logs = True
            return float(logs[self.monitor])
        if self._was_in_logs:
            return None
        raise messages.not_in_logs(self.monitor, logs or {})

    def __str__(self) -> str:
        has_begun = self._first_epoch is not None
        return messages.state_of(
            self, has_begun=has_begun, has_restored=self._has_restored
        )

    def _improves(self, monitor_value, reference_value):
        if reference_value is None:
            return True
        delta = self.min_delta  # negative in mode "min"
        if self.min_delta_mode == "relative":
            delta *= abs(reference_value)
        return bool(self.monitor_op(monitor_value - delta, reference_value))

    def _keep(self, value: float, epoch: int) -> None:
        """Saves the weights, then marks this epoch as the best."""
        if self._weights is not None:
            in_file = self.filepath is not None and not self._file_is_better(value)
            record = self._comparable() | {
                "value": value,
                "epoch": epoch,
                "wait": self.wait,
            }
            self._weights.keep(self.model, record, in_file=in_file)
            if in_file:
                self._value_in_file = value
        self.best, self.best_epoch = value, epoch

    def _read_file(self) -> None:
        """Reads the record in the file if the record matches this model and monitor."""
        record = self._weights and self._weights.record_in_file(self.model)
        if record and record["monitor"] == self.monitor:
            self._record = record
            self._was_in_logs = self._first_epoch > 0

    def _take_over_record(self) -> None:
        """Uses the best value in the file for comparisons if the settings match.

        If training resumes after a restart, the value also becomes `best`.
        """
        record, self._record = self._record, None
        if not record or not self._comparable().items() <= record.items():
            return
        self._value_in_file = record["value"]
        if self._first_epoch > 0 and record["epoch"] <= self._first_epoch:
            self.best, self.best_epoch = record["value"], record["epoch"]
            since = max(0, self._first_epoch - self.best_epoch - 1)
            self.wait = record["wait"] + since
            if self._weights is not None:
                self._weights.take_over_file()

    def _comparable(self) -> dict:
        """Returns the settings that must match for two values to be comparable."""
        mode = "max" if self.monitor_op(1, 0) else "min"
        return {"monitor": self.monitor, "mode": mode}

    def _file_is_better(self, value: float | None) -> bool:
        """Returns whether the value in the file is better than `value`."""
        if self._value_in_file is None or value == self._value_in_file:
            return False
        return value is None or bool(self.monitor_op(self._value_in_file, value))
