"""Training and evaluation in several runs of a script, each with limited time.

The state is kept in `runs/`. An interrupted run loses at most one epoch of training or
one block of examples.
"""

import json
import re
import shutil
import time
from pathlib import Path

import keras
import numpy as np

from callbacks import ScheduleLearningRate
from callbacks.schedules import Cosine
from zoo.utils.files import replacing

FOLDER = Path(__file__).parent.parent / "runs" / "benchmarks"
BLOCK = 2000  # number of examples per block of an evaluation


class OutOfTime(SystemExit):
    """Ends the script; the next run continues."""

    def __init__(self):
        super().__init__("out of time: run the same command again to continue")


class Resumable:
    """Trains one model and evaluates it, in as many runs as necessary.

    Args:
        name: Name of the folder for the state.
        options: Parsed options `minutes` and `dry`. `minutes` is the time limit of this
            run, counted from the start of the process, or `None`. It is checked after
            every epoch and every block.
    """

    def __init__(self, name: str, options):
        minutes = options.minutes
        name = f"dry {name}" if options.dry else name
        self.folder = FOLDER / re.sub(r"[^\w.-]+", "-", name)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.end = np.inf if minutes is None else START + 60 * minutes

    def fit(self, make_trainer, data, epochs: int) -> tuple[keras.Model, float]:
        """Trains with a warm-up and a half cosine, as `protocol.fit` does.

        Args:
            make_trainer: Function that returns the compiled model.
            data: Dataset from `zoo.datasets`.
            epochs: Number of epochs.

        Returns:
            A tuple of the trained model and the duration in seconds.
        """
        progress = self._read("progress.json") or {"epochs": 0, "seconds": 0.0}
        done = progress["epochs"]
        trainer = make_trainer()
        if done:
            trainer = keras.saving.load_model(self.folder / f"epoch-{done}.keras")
        if done < epochs:
            keeper = _KeepProgress(self, data.order, progress)
            schedule = Cosine(epochs, warmup=min(1, epochs / 4))
            trainer.fit(
                data.train,
                initial_epoch=done,
                epochs=epochs,
                shuffle=False,
                verbose=2,
                callbacks=[ScheduleLearningRate(schedule), keeper],
            )
        if self._read("progress.json")["epochs"] < epochs:
            raise OutOfTime
        return trainer, self._read("progress.json")["seconds"]

    def in_blocks(self, name: str, x, y, kind, compute) -> list:
        """Evaluates a model in blocks of examples.

        Args:
            name: Name of the evaluation.
            x: Array of inputs.
            y: Array of labels.
            kind: Class of the reports, which has the methods `save` and `load`.
            compute: Function that maps a block `(x, y)` to a report.

        Returns:
            A list with one report per block.
        """
        reports = []
        for start in range(0, len(x), BLOCK):
            path = self.folder / f"{name}-{start}.npz"
            if path.exists():
                reports.append(kind.load(path))
                continue
            if time.monotonic() > self.end:
                raise OutOfTime
            reports.append(
                compute((x[start : start + BLOCK], y[start : start + BLOCK]))
            )
            reports[-1].save(path)
        return reports

    def clear(self) -> None:
        """Removes the state, which is no longer needed."""
        shutil.rmtree(self.folder)

    def _read(self, name: str):
        path = self.folder / name
        return json.loads(path.read_text()) if path.exists() else None


class _KeepProgress(keras.callbacks.Callback):
    """Saves the model after each epoch, and stops when the time is over."""

    def __init__(self, resumable, order, progress: dict):
        super().__init__()
        self.resumable, self.order, self.progress = resumable, order, dict(progress)

    def on_epoch_begin(self, epoch, logs=None):
        self.order.counter = epoch
        self.begin = time.perf_counter()

    def on_epoch_end(self, epoch, logs=None):
        folder, done = self.resumable.folder, epoch + 1
        seconds = self.progress["seconds"] + time.perf_counter() - self.begin
        self.progress = {"epochs": done, "seconds": round(seconds, 1)}
        with replacing(folder / f"epoch-{done}.keras") as partial:
            self.model.save(partial)
        with replacing(folder / "progress.json") as partial:
            partial.write_text(json.dumps(self.progress))
        (folder / f"epoch-{epoch}.keras").unlink(missing_ok=True)
        if time.monotonic() > self.resumable.end:
            self.model.stop_training = True


START = time.monotonic()
