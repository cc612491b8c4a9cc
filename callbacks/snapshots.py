"""Saves copies of a model during training, for use as an ensemble."""

import os
from collections.abc import Iterable
from pathlib import Path

import keras

from zoo.utils.arguments import (
    check_integer,
    invalid_argument,
    is_integer,
    is_number,
)
from zoo.utils.files import replacing, writable_folder
from zoo.utils.model_state import check_can_be_saved
from zoo.utils.printable import Printable

from .monitors.summaries import number_of


class Snapshots(Printable, keras.callbacks.Callback):
    """Saves the model after certain epochs, for example after each cycle of a schedule.

    At the end of a cycle, the learning rate is low and the model is near a minimum. The
    next cycle moves the model away from this minimum. Averaging the predictions of the
    saved models yields an ensemble at the cost of one training run. See Huang et al.,
    "Snapshot Ensembles: Train 1, get M for free" (ICLR 2017), section 3.

    Epochs are counted from 1, as in the progress bar: 10 means the end of the tenth
    epoch, which is also the end of a cycle of length 10. For a
    `callbacks.schedules.Cosine` with time in epochs, `epochs=schedule.cycle_ends` saves
    the model at the end of every cycle. Choose the length and growth of the
    schedule so that the end of each cycle is also the end of an epoch.

    Files are written atomically. Each file is a `.keras` file, as written by
    `model.save`: the file includes the state of the optimizer, and LoRA adapters are
    merged into the kernels.

    Args:
        directory: Folder for the files, created if it does not exist. A file is named
            after its epoch, for example "snapshot-0010.keras", and replaces an existing
            file with the same name. Other files are kept, so use a separate folder for
            each training run, or load only the files in `paths`.
        every: Integer >= 1, the number of epochs from one file to the next. Defaults to
            `None`, which requires `epochs`.
        epochs: Whole numbers >= 1, the epochs after which to save. Defaults to `None`,
            which requires `every`. Only one of the two arguments can be given.

    Attributes:
        paths: Paths of the files written by the last call to `fit`, in order. Load the
            files with `keras.models.load_model`.

    Raises:
        ValueError: If an argument is invalid. Also raised by `fit` if Keras cannot save
            the model exactly: either a quantized layer has a LoRA adapter (Keras would
            round the merged weights), or the model is not built and has no `call`
            method.
        OSError: Raised by `fit` if the folder is not writable.

    Example:

    >>> import tempfile
    >>> from callbacks.schedules import Cosine
    >>> folder = tempfile.TemporaryDirectory()
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    >>> model.compile("sgd", loss="mse")
    >>> snapshots = Snapshots(folder.name, epochs=Cosine(4, cycles=2).cycle_ends)
    >>> x = np.ones((4, 1))
    >>> history = model.fit(x, x, epochs=5, verbose=0, callbacks=[snapshots])
    >>> [path.name for path in snapshots.paths]
    ['snapshot-0002.keras', 'snapshot-0004.keras']
    >>> models = [keras.models.load_model(path) for path in snapshots.paths]
    >>> folder.cleanup()
    """

    def __init__(
        self,
        directory: str | os.PathLike,
        *,
        every: int | None = None,
        epochs: Iterable[int] | None = None,
    ):
        super().__init__()
        if not isinstance(directory, str | os.PathLike):
            fix = f"Pass the folder first: `Snapshots('snapshots', every={directory})`."
            raise invalid_argument(
                "directory",
                "the path of a folder",
                directory,
                fix if is_integer(directory) else "",
            )
        if (every is None) == (epochs is None):
            raise ValueError(
                "Invalid values for arguments `every` and `epochs`. Expected exactly "
                f"one of them. Received: every={every!r}, epochs={epochs!r}"
            )
        self.directory = Path(directory)
        self.every = None if every is None else check_integer("every", every, minimum=1)
        self.epochs = None if epochs is None else _check_epochs(epochs)
        self.paths: list[Path] = []

    def on_train_begin(self, logs=None):
        writable_folder(self.directory)
        check_can_be_saved(self.model, "directory")
        self.paths = []

    def on_epoch_end(self, epoch, logs=None):
        number = epoch + 1
        is_due = number % self.every == 0 if self.every else number in self.epochs
        if not is_due:
            return
        path = self.directory / f"snapshot-{number:04d}.keras"
        with replacing(path) as partial:
            self.model.save(partial)
        self.paths.append(path)

    def __str__(self) -> str:
        often = f"after epochs {', '.join(map(str, self.epochs or ()))}"
        if self.every is not None:
            often = f"every {number_of(self.every, 'epoch')}"
        text = f"{type(self).__name__}: saves to '{self.directory}' {often}."
        if not self.paths:
            return f"{text} Nothing saved yet."
        number = number_of(len(self.paths), "file")
        return f"{text} {number} saved, the last one is {self.paths[-1].name}."

    def get_state(self) -> list[str]:
        """Returns the names of the files, for `ResumeTraining`."""
        return [path.name for path in self.paths]

    def set_state(self, state: list[str]) -> None:
        """Restores a result of `get_state()`."""
        self.paths = [self.directory / name for name in state]


def _check_epochs(epochs) -> tuple[int, ...]:
    numbers = tuple(epochs) if isinstance(epochs, Iterable) else ()
    if not numbers or not all(map(_is_epoch, numbers)):
        fix = "Cycles must end when an epoch ends. Adjust length, growth or warm-up."
        if is_integer(epochs):
            fix = f"Every {epochs} epochs is `every={epochs}`."
        expected = "whole numbers >= 1, at least one"
        raise invalid_argument("epochs", expected, epochs, fix)
    return tuple(round(number) for number in numbers)


def _is_epoch(value) -> bool:
    """Returns whether `value` is a whole number >= 1, up to rounding errors."""
    return is_number(value) and value >= 1 and abs(value - round(value)) < 1e-6
