"""Functions that run inside the process of a slot.

This module imports neither Keras nor a backend, so that a new process is ready soon.
"""

import os
import pickle
import shutil
import signal
import threading
import time
import traceback
from pathlib import Path

import cloudpickle

STARTED, PARTIAL, RESULT = ".started", ".partial", ".result"
POLL_SECONDS = 0.5


def initialize(parent: int, folder: str) -> None:
    """Prepares a new process.

    The process ends itself as soon as its parent no longer exists, and it ignores
    Ctrl-C, which the parent handles.

    Args:
        parent: Process id of the parent.
        folder: Folder to remove if the parent can no longer do it.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(parent, folder), daemon=True).start()


def call(path: str) -> None:
    """Calls a function that is stored in a file, and writes its result to a file.

    Results do not go through a pipe, because the parent would wait forever if this
    process were killed while it sends a large result.

    Args:
        path: File with a pickled pair of a function and its arguments. The result is
            written to a file with the suffix `RESULT`: a pickled pair of whether the
            call succeeded, and its return value or its exception.
    """
    try:
        function, args = pickle.loads(Path(path).read_bytes())  # imports their modules
        Path(path + STARTED).touch()
        result = cloudpickle.dumps((True, function(*args)))
    except Exception as error:  # passed on to the parent
        error.add_note(f"In a worker:\n{traceback.format_exc()}")
        result = _pickled(error)
    Path(path + PARTIAL).write_bytes(result)
    os.replace(path + PARTIAL, path + RESULT)


def _pickled(error: Exception) -> bytes:
    try:
        pickled = cloudpickle.dumps((False, error))
        pickle.loads(pickled)
    except Exception:  # an exception may define any `__init__` and `__reduce__`
        text = f"{type(error).__name__}: {error}\n{traceback.format_exc()}"
        pickled = cloudpickle.dumps((False, RuntimeError(text)))
    return pickled


def _end_with(parent: int, folder: str) -> None:
    """Ends this process when its parent no longer exists."""
    while os.getppid() == parent:
        time.sleep(POLL_SECONDS)
    shutil.rmtree(folder, ignore_errors=True)
    os._exit(1)
