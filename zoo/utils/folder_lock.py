"""Locks on folders."""

import os
import sys
import warnings
from pathlib import Path
from typing import IO

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl


class FolderLock:
    """Lock on a folder that only one process can hold at a time.

    The operating system releases the lock no matter how the process ends, so a lock
    never has to be removed by hand. The file system may not support locks, which some
    network file systems do not. In that case, `acquire` only warns.

    Args:
        folder: Existing folder, in which the file "lock" is created.
    """

    def __init__(self, folder: str | os.PathLike):
        self.folder = Path(folder)
        self._file: IO | None = None

    def acquire(self) -> bool:
        """Acquires the lock, unless another process or another object holds it.

        Returns:
            Whether this object holds the lock. If the file system does not support
            locks, the result is `True`.
        """
        if self._file is not None:
            return True
        file = open(self.folder / "lock", "ab")  # noqa: SIM115
        try:
            if sys.platform == "win32":
                msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
            else:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except (BlockingIOError, PermissionError):
            file.close()
            return False
        except OSError as error:
            warnings.warn(
                f"The folder '{self.folder}' cannot be locked ({error}). Make sure "
                "that only one process uses it at a time.",
                stacklevel=2,
            )
        self._file = file
        return True

    def release(self) -> None:
        """Releases the lock, if this object holds it."""
        if self._file is not None:
            self._file.close()
            self._file = None
