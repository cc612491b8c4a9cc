"""Files that are either written whole or not at all."""

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """Gives a temporary path to write to, which takes the place of `path` at the end.

    The temporary file lies in the same folder and has the same ending (the whole of
    ".weights.h5"), since savers choose a format by it. After an error it is removed,
    and `path` is as it was.

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
            f"Cannot write '{path}'. Expected a file in a folder that exists. "
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
        partial.chmod(0o666 & ~_umask())  # mkstemp keeps it to its owner
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)


def writable_folder(path: str | os.PathLike) -> Path:
    """Returns a folder, made where it does not exist, after writing a file to it.

    Args:
        path: Folder.

    Raises:
        OSError: If nothing can be written there.
    """
    folder = Path(path)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"Cannot write to folder '{folder}'. Expected a folder that can be "
            f"written. Received: {error}"
        ) from None
    return folder


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask
