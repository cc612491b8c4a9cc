"""Saved models along one training, for an ensemble."""

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


class Snapshots(keras.callbacks.Callback):
    """Saves the model at the end of every cycle of a cyclic learning rate.

    At the end of a cycle the rate is low and the model has settled in a minimum; the
    next cycle throws it out of it. Averaging what the saved models predict gives an
    ensemble for the price of one training: Huang et al., "Snapshot Ensembles: Train
    1, get M for free" (ICLR 2017), section 3.

    Epochs are counted as the progress bar counts them: 10 is the end of the tenth,
    where a cycle of length 10 ends. So `epochs=schedule.cycle_ends` saves at the end
    of every cycle of a `callbacks.schedules.Cosine` that counts epochs, if its length
    and growth are such that cycles end with an epoch.

    A file is written whole or not at all. It is a `.keras` file with optimizer, as
    `model.save` writes it: LoRA adapters are merged into their kernels.

    Args:
        directory: Folder of the files, made where it does not exist. A file is named
            after its epoch, as "snapshot-0010.keras", and replaces one of that name.
            Other files stay: give each training its own folder, or use `paths`.
        every: Save at the end of every so many epochs. Defaults to `None`.
        epochs: Save at the end of these epochs, whole numbers >= 1. Defaults to
            `None`. Exactly one of `every` and `epochs` must be given.

    Attributes:
        paths: Files written in the last `fit`, in order, for
            `keras.models.load_model`.

    Raises:
        ValueError: If an argument is invalid; in `fit`, if a saved file would hold
            another model: with LoRA adapters on quantized layers, which Keras
            rounds, and without `call` and `build`.

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
        if (every is None) == (epochs is None):
            raise ValueError(
                "Invalid values for arguments `every` and `epochs`. Expected exactly "
                f"one of them. Received: every={every!r}, epochs={epochs!r}"
            )
        if not isinstance(directory, str | os.PathLike):
            raise invalid_argument("directory", "the path of a folder", directory)
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


def _check_epochs(epochs) -> tuple[int, ...]:
    numbers = tuple(epochs) if isinstance(epochs, Iterable) else ()
    if not numbers or not all(map(_is_epoch, numbers)):
        fix = "A cycle must end with an epoch: see its length, growth and warm-up."
        if is_integer(epochs):
            fix = f"Every {epochs} epochs is `every={epochs}`."
        expected = "whole numbers >= 1, at least one"
        raise invalid_argument("epochs", expected, epochs, fix)
    return tuple(round(number) for number in numbers)


def _is_epoch(value) -> bool:
    """Whether a cycle that ends there ends with an epoch, but for rounding."""
    return is_number(value) and value >= 1 and abs(value - round(value)) < 1e-6
