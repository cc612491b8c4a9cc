"""Files of saved training runs, written atomically and verified by a checksum."""

import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.utils.files import replacing, writable_folder

MAGIC = b"kerascope training 1\n"
DIGEST_SIZE = 16
CHUNK = 2**20
KEPT = 2  # number of saves in the folder


class DamagedSave(Exception):
    """Says why a file cannot be read as a save."""


@dataclass(frozen=True)
class Save:
    """A save whose checksum has been verified.

    Attributes:
        path: Path of the file.
        header: JSON-serializable dict.
        state: All other data except the arrays, as bytes.
    """

    path: Path
    header: dict
    state: bytes

    def arrays(self) -> Iterator[np.ndarray]:
        """Yields the arrays one by one, so that only one of them is in memory."""
        with open(self.path, "rb") as file:
            file.seek(len(MAGIC))
            _read_section(file)
            _read_section(file)
            for shape, dtype in self.header["arrays"]:
                yield np.frombuffer(_read_section(file), _dtype(dtype)).reshape(shape)


class SaveFolder:
    """Manages a folder that contains the last two saves of a training run.

    A file consists of a line that identifies the format, several sections, and a BLAKE2
    checksum of everything before it. The sections are a JSON header, the state, and the
    arrays. Each section is preceded by its length in 8 bytes.

    Args:
        directory: Folder, created if it does not exist.

    Raises:
        OSError: If the folder is not writable.
    """

    def __init__(self, directory: str | os.PathLike):
        self.path = writable_folder(directory)

    def write(self, header: dict, state: bytes, arrays: Iterable[np.ndarray]) -> None:
        """Adds a save, and then removes all but the last two.

        Args:
            header: JSON-serializable dict, in which "arrays" contains the shape and
                dtype of every array.
            state: All other data, as bytes.
            arrays: Arrays in the order of the header, which are requested one by one.

        Raises:
            OSError: If the save cannot be written. Earlier saves are not changed.
        """
        paths = self._paths()
        number = _number(paths[0]) + 1 if paths else 0
        path = self.path / f"save-{number:06d}.training"
        try:
            with replacing(path) as partial, open(partial, "wb") as file:
                writer = _Writer(file)
                writer.write(MAGIC)
                writer.section(json.dumps(header).encode())
                writer.section(state)
                for array in arrays:
                    writer.section(_bytes_of(array))
                file.write(writer.digest())
                file.flush()
                os.fsync(file.fileno())
            _sync_folder(self.path)
        except OSError as error:
            last = f"'{paths[0]}'" if paths else "none"
            raise OSError(
                f"Cannot save the training run to '{path}'. Expected a writable "
                f"folder with enough space. Received: {error}\nThe last good save is "
                f"unchanged: {last}."
            ) from error
        for old in paths[KEPT - 1 :]:
            old.unlink(missing_ok=True)

    def read_latest(self) -> Save | None:
        """Returns the latest save that is not damaged, or `None` if there are no saves.

        Warns about each damaged save.

        Raises:
            DamagedSave: If all saves are damaged.
        """
        self._remove_partial_files()
        paths = self._paths()
        for path in paths:
            try:
                save = _read(path)
            except DamagedSave as error:
                warnings.warn(
                    f"The save '{path}' is damaged ({error}). The previous save is "
                    "used, if there is one.",
                    stacklevel=2,
                )
            else:
                for damaged in paths[: paths.index(path)]:
                    damaged.unlink()
                return save
        if paths:
            raise DamagedSave(
                f"All saves in '{self.path}' are damaged. Expected at least one intact "
                "save.\nPass `overwrite=True` to start the training run again."
            )
        return None

    def read_previous(self, save: Save) -> Save | None:
        """Returns the save before a given one, or `None` if there is none."""
        older = [path for path in self._paths() if path < save.path]
        return _read(older[0]) if older else None

    def clear(self) -> None:
        """Removes all saves."""
        self._remove_partial_files()
        for path in self._paths():
            path.unlink()

    def _paths(self) -> list[Path]:
        """Returns the paths of all saves, starting with the latest."""
        return sorted(self.path.glob("save-*.training"), key=_number, reverse=True)

    def _remove_partial_files(self) -> None:
        """Removes partially written files that a killed process has left behind."""
        for path in self.path.glob(".save-*.training"):
            path.unlink(missing_ok=True)


class _Writer:
    """Writes to a file and computes the checksum of everything written."""

    def __init__(self, file):
        self._file = file
        self._hash = hashlib.blake2b(digest_size=DIGEST_SIZE)

    def write(self, contents) -> None:
        self._file.write(contents)
        self._hash.update(contents)

    def section(self, contents) -> None:
        self.write(len(contents).to_bytes(8, "little"))
        self.write(contents)

    def digest(self) -> bytes:
        return self._hash.digest()


def _read(path: Path) -> Save:
    _check(path)
    with open(path, "rb") as file:
        file.seek(len(MAGIC))
        return Save(path, json.loads(_read_section(file)), _read_section(file))


def _check(path: Path) -> None:
    """Raises a `DamagedSave` if the checksum of a file is wrong."""
    left = path.stat().st_size - DIGEST_SIZE
    with open(path, "rb") as file:
        start = file.read(len(MAGIC))
        left -= len(start)
        if start != MAGIC or left < 0:
            raise DamagedSave("it does not begin like a save")
        found = hashlib.blake2b(start, digest_size=DIGEST_SIZE)
        while left:
            chunk = file.read(min(CHUNK, left))
            if not chunk:
                raise DamagedSave("it was truncated while it was read")
            found.update(chunk)
            left -= len(chunk)
        if file.read() != found.digest():
            raise DamagedSave("its checksum does not match its contents")


def _read_section(file) -> bytes:
    return file.read(int.from_bytes(file.read(8), "little"))


def _bytes_of(array: np.ndarray):
    return np.ascontiguousarray(array).reshape(-1).view("uint8").data


def _dtype(name: str) -> np.dtype:
    import ml_dtypes  # adds bfloat16 and 8-bit floats to NumPy

    return np.dtype(getattr(ml_dtypes, name, name))


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("save-"))


def _sync_folder(folder: Path) -> None:
    """Writes the names in a folder to the disk, on systems that support this."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
