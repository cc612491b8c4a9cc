"""Files of saved training runs, written atomically and verified by a checksum."""

import errno
import json
import os
import re
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from zoo.utils.files import replacing, writable_folder
from zoo.utils.folder_lock import FolderLock

from .errors import ResumeError, SaveError

FORMAT = 1
MAGIC = b"kerascope training %d\n"
CHECKSUM_SIZE = 4
CHUNK = 2**20
KEPT = 2  # number of saves in the folder

# This process keeps the lock after an exception, because Keras then calls no hooks.
_locks: dict[Path, FolderLock] = {}


class DamagedSave(Exception):
    """Says why a file cannot be read as a save."""


@dataclass(frozen=True)
class Save:
    """A save whose checksum has been verified.

    Attributes:
        path: Path of the file.
        header: JSON-serializable dict.
    """

    path: Path
    header: dict

    def state(self) -> list[bytearray]:
        """Returns all other data except the arrays."""
        with open(self.path, "rb") as file:
            self._skip_header(file)
            return [_read_section(file) for _ in range(_read_number(file))]

    def arrays(self) -> Iterator[np.ndarray]:
        """Yields the arrays one by one, so that only one of them is in memory."""
        with open(self.path, "rb") as file:
            self._skip_header(file)
            for _ in range(_read_number(file)):
                _skip_section(file)
            for shape, dtype in self.header["arrays"]:
                yield np.frombuffer(_read_section(file), _dtype(dtype)).reshape(shape)

    def _skip_header(self, file) -> None:
        file.readline()
        _skip_section(file)


class SaveFolder:
    """Manages a folder that contains the last two saves of a training run.

    The folder is locked against other processes until `release` is called or the
    process ends.

    A file consists of a line that identifies the format, several sections, and a CRC-32
    checksum of everything before it. The sections are a JSON header, the parts of the
    state, which are preceded by their number, and the arrays. Each section is preceded
    by its length. Numbers take 8 bytes.

    Args:
        directory: Folder, created if it does not exist.

    Raises:
        OSError: If the folder is not writable.
        ResumeError: If another process is using the folder.
    """

    def __init__(self, directory: str | os.PathLike):
        self.path = writable_folder(directory)
        self._damaged: list[Path] = []
        real = self.path.resolve()
        self._lock = _locks.setdefault(real, FolderLock(real))
        self.lock()

    def lock(self) -> None:
        """Locks the folder against other processes.

        Raises:
            ResumeError: If another process is using the folder.
        """
        if not self._lock.acquire():
            raise ResumeError(
                f"Another process is training in '{self.path}'. Expected only one "
                "process per folder.\nWait for that process to end, or pass a "
                "different `directory`. Training in several processes at once is not "
                "supported."
            )

    def release(self) -> None:
        """Lets other processes use the folder."""
        self._lock.release()

    def write(self, header: dict, state: Sequence, arrays: Iterable) -> None:
        """Adds a save, and then removes all but the last two.

        Damaged saves are removed, too.

        Args:
            header: JSON-serializable dict, in which "arrays" contains the shape and
                dtype of every array.
            state: All other data, as a list of objects with a buffer, such as bytes.
            arrays: Arrays in the order of the header, which are requested one by one.

        Raises:
            SaveError: If the save cannot be written. Earlier saves are not changed.
        """
        paths = self._paths()
        number = _number(paths[0]) + 1 if paths else 0
        path = self.path / f"save-{number:06d}.training"
        good = [each for each in paths if each not in self._damaged]
        try:
            with (
                replacing(path) as partial,
                open(partial, "wb") as file,
                ThreadPoolExecutor(1) as thread,
            ):
                writer = _Writer(file, thread)
                writer.write(MAGIC % FORMAT)
                writer.section(json.dumps(header).encode())
                writer.number(len(state))
                for part in state:
                    writer.section(memoryview(part).cast("B"))
                for array in arrays:
                    writer.section(_bytes_of(array))
                file.write(writer.checksum())
                file.flush()
                os.fsync(file.fileno())
            _sync_folder(self.path)
        except OSError as error:
            last = f"'{good[0]}'" if good else "none"
            raise SaveError(
                f"Cannot save the training run to '{path}'. Expected a writable "
                f"folder with enough space. Received: {error}\nThe last good save is "
                f"unchanged: {last}."
            ) from error
        for old in [*self._damaged, *good[KEPT - 1 :]]:
            old.unlink(missing_ok=True)
        self._damaged = []

    def read_latest(self) -> Save | None:
        """Returns the latest save that is not damaged, or `None` if there are no saves.

        Warns about each damaged save.

        Raises:
            SaveError: If all saves are damaged.
            ResumeError: If a different version of kerascope has written the save.
        """
        self._remove_partial_files()
        paths = self._paths()
        for path in paths:
            try:
                return _read(path)
            except DamagedSave as error:
                self._damaged.append(path)
                warnings.warn(
                    f"The save '{path}' is damaged ({error}). The previous save is "
                    "used, if there is one.",
                    stacklevel=2,
                )
        if paths:
            raise SaveError(
                f"All saves in '{self.path}' are damaged. Expected at least one intact "
                "save.\nPass `overwrite=True` to start the training run again."
            )
        return None

    def read_previous(self, save: Save) -> Save | None:
        """Returns the save before a given one, or `None` if there is no intact one."""
        number = _number(save.path)
        older = [path for path in self._paths() if _number(path) < number]
        try:
            return _read(older[0]) if older else None
        except DamagedSave:
            return None

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
    """Writes to a file and computes the checksum of everything written.

    Large sections are written while a thread computes their checksum.
    """

    def __init__(self, file, thread: Executor):
        self._file, self._thread = file, thread
        self._checksum = 0

    def write(self, contents) -> None:
        if len(contents) < CHUNK:
            self._checksum = zlib.crc32(contents, self._checksum)
            self._file.write(contents)
            return
        checksum = self._thread.submit(zlib.crc32, contents, self._checksum)
        self._file.write(contents)
        self._checksum = checksum.result()

    def number(self, number: int) -> None:
        self.write(number.to_bytes(8, "little"))

    def section(self, contents) -> None:
        self.number(len(contents))
        self.write(contents)

    def checksum(self) -> bytes:
        return self._checksum.to_bytes(CHECKSUM_SIZE, "little")


def _read(path: Path) -> Save:
    try:
        _check(path)
        with open(path, "rb") as file:
            file.readline()
            return Save(path, json.loads(_read_section(file)))
    except OSError as error:
        raise DamagedSave(str(error)) from error


def _check(path: Path) -> None:
    """Raises an error if a file is not a save, or if its checksum is wrong."""
    left = path.stat().st_size - CHECKSUM_SIZE
    with open(path, "rb") as file:
        start = file.readline(100)
        left -= len(start)
        written = re.fullmatch(re.escape(MAGIC).replace(b"%d", rb"(\d+)"), start)
        if written is None or left < 0:
            raise DamagedSave("it does not begin like a save")
        if int(written[1]) != FORMAT:
            raise ResumeError(
                f"'{path}' was saved by a different version of kerascope, in format "
                f"{int(written[1])}. Expected format {FORMAT}.\nInstall that version "
                "to resume the training run, or pass a different `directory` to start "
                "a new one."
            )
        checksum = zlib.crc32(start)
        while left:
            chunk = file.read(min(CHUNK, left))
            if not chunk:
                raise DamagedSave("it was truncated while it was read")
            checksum = zlib.crc32(chunk, checksum)
            left -= len(chunk)
        if file.read() != checksum.to_bytes(CHECKSUM_SIZE, "little"):
            raise DamagedSave("its checksum does not match its contents")


def _read_number(file) -> int:
    return int.from_bytes(file.read(8), "little")


def _read_section(file) -> bytearray:
    # Objects that are unpickled from a bytearray can be changed.
    contents = bytearray(_read_number(file))
    file.readinto(contents)
    return contents


def _skip_section(file) -> None:
    file.seek(_read_number(file), os.SEEK_CUR)


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
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(handle)
