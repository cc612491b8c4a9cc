"""The best weights of a training, in a file."""

import contextlib
import hashlib
import json
import shutil
import tempfile
import weakref
from pathlib import Path

import h5py
import keras

from zoo.utils.files import replacing, writable_folder
from zoo.utils.model_state import (
    check_can_be_saved,
    has_adapters,
    read_state,
    write_state,
)

KEY = "kerascope"  # of our attribute and group in a file that Keras writes


class BestWeights:
    """Keeps the weights of one epoch, and what is known of that epoch.

    They go to the user's file, for `model.load_weights`, or to a temporary one, which
    holds the variables bit for bit. Where Keras would merge LoRA adapters, the user's
    file has the variables, too. A temporary file is removed with this object.

    Args:
        filepath: The user's file, or `None`.
    """

    def __init__(self, filepath: Path | None):
        self._filepath = filepath
        self._kept_in: Path | None = None
        self._temporary: Path | None = None

    @property
    def are_kept(self) -> bool:
        return self._kept_in is not None

    def check(self, model: keras.Model) -> None:
        """Raises if the user's file cannot be written, or could not hold the model."""
        if self._filepath is not None:
            writable_folder(self._filepath.parent)
            check_can_be_saved(model, "filepath")

    def record_in_file(self, model: keras.Model) -> dict | None:
        """Returns what the user's file says of its epoch.

        It is `None` if there is no such file, if Keras alone wrote it, if it is
        damaged, or if it is of a model of other weights.
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
        """Makes the user's file the one that is restored."""
        self._kept_in = self._filepath

    def keep(self, model: keras.Model, record: dict, *, in_file: bool) -> None:
        """Writes the weights that a model has now.

        Args:
            model: Model.
            record: What is known of the epoch, for JSON.
            in_file: Whether they go to the user's file.
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

    def restore(self, model: keras.Model) -> None:
        """Gives a model the weights that were kept, and leaves its optimizers."""
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
        # A copy, in another process perhaps, gets a temporary file of its own.
        state = {**vars(self), "_temporary": None, "contents": None}
        if self.are_kept and self._kept_in == self._temporary:
            with contextlib.suppress(FileNotFoundError):
                state["contents"] = self._temporary.read_bytes()
            state["_kept_in"] = None
        return state

    def __setstate__(self, state):
        contents = state.pop("contents")
        vars(self).update(state)
        if contents is not None:
            self._kept_in = self._temporary_path()
            self._kept_in.write_bytes(contents)


def _digest(model) -> str:
    """Tells models of other weights apart."""
    weights = [(tuple(weight.shape), weight.dtype) for weight in model.weights]
    return hashlib.sha256(repr(weights).encode()).hexdigest()


def _optimizers_of(model) -> list:
    """The compiled optimizer, and those that a `train_step` of its own uses."""
    found = [*vars(model).values(), model.optimizer]
    return [item for item in found if isinstance(item, keras.optimizers.Optimizer)]
