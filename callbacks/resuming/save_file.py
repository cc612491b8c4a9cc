"""Saves of a training: written whole or not at all, and checked when they are read."""

import hashlib
import json
import os
import warnings
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.files import replacing, writable_folder

MAGIC = b"kerascope training 1\n"
DIGEST_SIZE = 16
CHUNK = 2**20
KEPT = 2  # saves in the folder


class DamagedSave(Exception):
    """A file that is not what was written."""


@dataclass(frozen=True)
class Save:
    """One save, whose checksum has been found right.

    Attributes:
        path: Its file.
        header: Dict of what JSON can hold.
        state: Bytes of everything else but the arrays.
    """

    path: Path
    header: dict
    state: bytes

    def arrays(self) -> Iterator[np.ndarray]:
        """Yields the arrays one by one, so that two of them are never in memory."""
        with open(self.path, "rb") as file:
            file.seek(len(MAGIC))
            _read_section(file)
            _read_section(file)
            for shape, dtype in self.header["arrays"]:
                yield np.frombuffer(_read_section(file), _dtype(dtype)).reshape(shape)


class SaveFolder:
    """The folder of the last two saves of one training.

    A file is the magic line, then sections (the length as 8 bytes, and the contents):
    a JSON header, the state, the arrays; then a BLAKE2 checksum of all of it.

    Args:
        directory: Folder, made where it does not exist.

    Raises:
        OSError: If nothing can be written there.
    """

    def __init__(self, directory: str | os.PathLike):
        self.path = writable_folder(directory)

    def write(self, header: dict, state: bytes, arrays: Iterable[np.ndarray]) -> None:
        """Adds a save, and then removes those that are older than the last two.

        Args:
            header: Dict of what JSON can hold, with the shape and dtype of every
                array under "arrays".
            state: Bytes.
            arrays: Arrays in the order of the header, taken one at a time.

        Raises:
            OSError: If it cannot be written. The earlier saves are as they were.
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
                f"Cannot save the training to '{path}': {error}\nExpected a folder "
                f"with space for a save. The last good save is as it was: {last}."
            ) from error
        for old in paths[KEPT - 1 :]:
            old.unlink(missing_ok=True)

    def read_latest(self) -> Save | None:
        """Returns the latest save that is not damaged, or `None` if there is none.

        Raises:
            DamagedSave: If there are saves, and all are damaged.
        """
        self._remove_partial_files()
        paths = self._paths()
        for path in paths:
            try:
                save = _read(path)
            except DamagedSave as error:
                warnings.warn(
                    f"The save '{path}' is damaged ({error}). The one before it is "
                    "used, if there is one.",
                    stacklevel=2,
                )
            else:
                for damaged in paths[: paths.index(path)]:
                    damaged.unlink()
                return save
        if paths:
            raise DamagedSave(
                f"All saves in '{self.path}' are damaged. Expected at least one that "
                "is whole.\nPass `overwrite=True` to begin the training again."
            )
        return None

    def read_previous(self, save: Save) -> Save | None:
        """Returns the save before another one, or `None` if there is none."""
        older = [path for path in self._paths() if path < save.path]
        return _read(older[0]) if older else None

    def clear(self) -> None:
        """Removes all saves."""
        self._remove_partial_files()
        for path in self._paths():
            path.unlink()

    def _paths(self) -> list[Path]:
        """The saves, the latest first."""
        return sorted(self.path.glob("save-*.training"), key=_number, reverse=True)

    def _remove_partial_files(self) -> None:
        """Removes what a killed process was about to write."""
        for path in self.path.glob(".save-*.training"):
            path.unlink(missing_ok=True)


class _Writer:
    """Writes to a file, and keeps the checksum of what it wrote."""

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
    """Raises if the checksum of a file is not that of its contents."""
    left = path.stat().st_size - DIGEST_SIZE
    with open(path, "rb") as file:
        start = file.read(len(MAGIC))
        left -= len(start)
        if start != MAGIC or left < 0:
            raise DamagedSave("it does not begin as a save")
        found = hashlib.blake2b(start, digest_size=DIGEST_SIZE)
        while left:
            chunk = file.read(min(CHUNK, left))
            if not chunk:
                raise DamagedSave("it became shorter while it was read")
            found.update(chunk)
            left -= len(chunk)
        if file.read() != found.digest():
            raise DamagedSave("its checksum is not that of its contents")


def _read_section(file) -> bytes:
    return file.read(int.from_bytes(file.read(8), "little"))


def _bytes_of(array: np.ndarray):
    return np.ascontiguousarray(array).reshape(-1).view("uint8").data


def _dtype(name: str) -> np.dtype:
    import ml_dtypes  # gives NumPy bfloat16 and the 8-bit floats

    return np.dtype(getattr(ml_dtypes, name, name))


def _number(path: Path) -> int:
    return int(path.stem.removeprefix("save-"))


def _sync_folder(folder: Path) -> None:
    """Makes a rename in a folder last, where the system can be asked for it."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
