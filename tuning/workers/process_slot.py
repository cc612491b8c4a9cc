"""Process that calls one function at a time and is replaced when it dies."""

import os
import pickle
import threading
from collections.abc import Callable
from concurrent.futures import BrokenExecutor
from pathlib import Path
from typing import Any

import cloudpickle
from loky import ProcessPoolExecutor

from . import slot_process
from .slot_process import PARTIAL, RESULT, STARTED, call, initialize

# Sent as code instead of by name, so that a new process is ready before it imports
# Keras and a backend.
cloudpickle.register_pickle_by_value(slot_process)

MAX_STARTS = 10  # processes in a row that may die before they begin the call


class WorkerDied(Exception):
    """The process died during a call, for example because it was killed."""


class SlotClosed(Exception):
    """The slot was closed during a call."""


class ProcessSlot:
    """Calls functions in a process of its own, one at a time.

    Each slot is a loky pool with a single process. If the process dies, only the call
    that was running in it is affected, and the next call starts a new process.
    Arguments and results are passed in files.

    Args:
        name: Name of the slot.
        folder: Existing folder for the files. If this process is killed, the process
            of the slot removes the folder.
        environment: Environment variables of the process, in addition to those of this
            process. They are set before any module is imported.
        idle_seconds: Seconds after which an idle process ends. Defaults to `None`: an
            idle process does not end.
    """

    def __init__(
        self,
        name: str,
        folder: Path,
        environment: dict[str, str],
        idle_seconds: float | None = None,
    ):
        self.name = name
        self.folder = folder
        self.environment = environment
        self.idle_seconds = idle_seconds
        self._executor: Any = None
        self._is_closed = False
        self._guard = threading.Lock()
        self._num_calls = 0

    def run(self, function: Callable, *args):
        """Calls a function in the process, and waits for its result.

        Returns:
            The return value of the function.

        Raises:
            Exception: The exception that the function raised.
            WorkerDied: If the process died during the call.
            SlotClosed: If the slot was closed during the call.
            RuntimeError: If the process cannot be started.
        """
        self._num_calls += 1
        path = self.folder / f"{self.name.replace(' ', '-')}-{self._num_calls}"
        path.write_bytes(cloudpickle.dumps((function, args)))
        try:
            return self._run(path)
        finally:
            for suffix in ("", STARTED, PARTIAL, RESULT):
                Path(f"{path}{suffix}").unlink(missing_ok=True)

    def close(self) -> None:
        """Ends the process at once. The slot cannot be used again."""
        with self._guard:
            self._is_closed = True
        self._stop()

    def _run(self, path: Path):
        result, started = Path(f"{path}{RESULT}"), Path(f"{path}{STARTED}")
        for _ in range(MAX_STARTS):
            try:
                self._started_executor().submit(call, str(path)).result()
            except BrokenExecutor:
                self._stop()
            except RuntimeError:  # loky's executor was shut down
                if not self._is_closed:
                    raise
            if result.exists():  # perhaps the process died after that
                has_returned, value = pickle.loads(result.read_bytes())
                if has_returned:
                    return value
                raise value
            if self._is_closed:
                raise SlotClosed(f"{self.name} was closed")
            if started.exists():
                raise WorkerDied(f"the process of {self.name} died")
            # No call is to blame if the process died while it was idle or imported.
        raise RuntimeError(
            f"The process of {self.name} died {MAX_STARTS} times before it began to "
            "work. Its output may contain the reason."
        )

    def _started_executor(self):
        with self._guard:
            if self._is_closed:
                raise SlotClosed(f"{self.name} was closed")
            if self._executor is None:
                self._executor = ProcessPoolExecutor(
                    1,
                    timeout=self.idle_seconds,
                    env=self.environment,
                    initializer=initialize,
                    initargs=(os.getpid(), str(self.folder)),
                )
            return self._executor

    def _stop(self) -> None:
        with self._guard:
            executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=True, kill_workers=True)
