"""Saves and restores the best weights of a training run."""

import contextlib
import hashlib
import json
import shutil
import tempfile
import weakref
from pathlib import Path

import h5py
import keras
import numpy as np

from zoo.utils.files import replacing, writable_folder
from zoo.utils.model_state import (
    check_can_be_saved,
    has_adapters,
    read_state,
    write_state,
)

KEY = "kerascope"  # name of our attribute and group in the HDF5 file


class BestWeights:
    """Saves the weights of one epoch to disk, together with a record of that epoch.

    The weights are written to the user's file, which `model.load_weights` can read, or
    to a temporary file, which stores all variables bit for bit. When Keras saves a
    model, it merges LoRA adapters into the kernels. If the model has LoRA adapters, all
    variables are therefore also written to the user's file in unmerged form. The
    temporary file is deleted when this object is garbage-collected or Python exits.

    Args:
        filepath: Path of the user's file, or `None` to use only the temporary file.
    """

    def __init__(self, filepath: Path | None):
        self._filepath = filepath
        self._kept_in: Path | None = None
        self._temporary: Path | None = None

    @property
    def are_kept(self) -> bool:
        return self._kept_in is not None

    def check(self, model: keras.Model) -> None:
        """Raises an error if the file is not writable or the model cannot be saved."""
        if self._filepath is not None:
            writable_folder(self._filepath.parent)
            check_can_be_saved(model, "filepath")

    def record_in_file(self, model: keras.Model) -> dict | None:
        """Returns the record of the epoch whose weights are in the user's file.

        Returns `None` if the file does not exist, has no record, is damaged, or
        belongs to a model whose weights differ in shape or dtype.
        """
        if self._filepath is None or not self._filepath.is_file():
            return None
        try:
            with h5py.File(self._filepath) as file:
                record = json.loads(file.attrs[KEY])
        except (OSError, KeyError, ValueError):
            return None
        return record if record.get("weights") == _digest(model) else None

    def take_over_file(self) -> None:
        """Makes `restore()` load the user's file."""
        self._kept_in = self._filepath

    def keep(self, model: keras.Model, record: dict, *, in_file: bool) -> None:
        """Saves the current weights of a model.

        Args:
            model: Model to save.
            record: Record of the epoch, as a JSON-serializable dict.
            in_file: Whether to write to the user's file instead of the temporary file.
        """
        if not in_file or self._filepath is None:
            path = self._temporary_path()
            with replacing(path) as partial, h5py.File(partial, "w") as file:
                write_state(model, file.create_group(KEY))
        else:
            path = self._filepath
            check_can_be_saved(model, "filepath")
            with replacing(path) as partial:
                model.save_weights(partial)
                with h5py.File(partial, "r+") as file:
                    record = record | {"weights": _digest(model)}
                    file.attrs[KEY] = json.dumps(record)
                    if has_adapters(model):
                        write_state(model, file.create_group(KEY))
        self._kept_in = path

    def move_to(self, filepath: Path | None) -> None:
        """Changes the path of the user's file, which has been moved there."""
        if self._kept_in == self._filepath:
            self._kept_in = filepath
        self._filepath = filepath

    def restore(self, model: keras.Model) -> None:
        """Restores the saved weights. The state of the optimizer is not changed."""
        with h5py.File(self._kept_in) as file:
            if KEY in file:
                read_state(model, file[KEY])
                return
        model.load_weights(self._kept_in, objects_to_skip=_optimizers_of(model))

    def _temporary_path(self) -> Path:
        if self._temporary is None:
            folder = tempfile.mkdtemp(prefix="kerascope-early-stopping-")
            weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
            self._temporary = Path(folder) / "best.weights.h5"
        return self._temporary

    def __getstate__(self):
        # A copy of this object, possibly in a different process, gets its own temporary
        # file.
        state = {**vars(self), "_temporary": None, "contents": None}
        if self.are_kept and self._kept_in == self._temporary:
            with contextlib.suppress(FileNotFoundError):
                # `ResumeTraining` writes arrays to a file without copying them.
                state["contents"] = np.fromfile(self._temporary, "uint8")
            state["_kept_in"] = None
        return state

    def __setstate__(self, state):
        contents = state.pop("contents")
        vars(self).update(state)
        if contents is not None:
            self._kept_in = self._temporary_path()
            self._kept_in.write_bytes(contents)


def _digest(model) -> str:
    """Returns a hash of the shapes and dtypes of the weights."""
    weights = [(tuple(weight.shape), weight.dtype) for weight in model.weights]
    return hashlib.sha256(repr(weights).encode()).hexdigest()


def _optimizers_of(model) -> list:
    """Returns all optimizers that are attributes of the model."""
    found = [*vars(model).values(), model.optimizer]
    return [item for item in found if isinstance(item, keras.optimizers.Optimizer)]
