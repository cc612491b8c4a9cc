"""Atomic file writes, and a check for writable folders."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Yields the path of a temporary file, and renames the file to `path` on exit.

    The temporary file is in the same folder as `path`. Its name ends with the same
    suffixes, such as ".weights.h5", because functions that save models infer the format
    from the file name. After an error, the temporary file is removed, and `path` is
    unchanged.

    Args:
        path: File to write. Its folder must exist.

    Yields:
        The temporary path.

    Raises:
        FileNotFoundError: If the folder does not exist.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise FileNotFoundError(
            f"Cannot write '{path}'. Expected a file in an existing folder. "
            f"Received: folder '{path.parent}'"
        )
    ending = "".join(path.suffixes)
    handle, name = tempfile.mkstemp(
        prefix=f".{path.name.removesuffix(ending)}-", suffix=ending, dir=path.parent
    )
    os.close(handle)
    partial = Path(name)
    try:
        yield partial
        partial.chmod(0o666 & ~_umask())  # mkstemp makes the file private
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def writable_folder(path: str | os.PathLike) -> Path:
    """Creates a folder if it is missing, checks that it is writable, and returns it.

    Args:
        path: Path of the folder.

    Raises:
        OSError: If the folder cannot be created or written to.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"Cannot write to folder '{folder}'. Expected a writable folder. "
            f"Received: {error}"
        ) from None
    return folder


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
