"""Crews of workers: processes of this machine, or those of an executor."""

import atexit
import dataclasses
import multiprocessing
import os
import pickle
import socket
import tempfile
import time
import uuid
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from pathlib import Path

import cloudpickle

from .process_slot import ProcessSlot
from .slot_pool import SlotPool
from .trial_task import TrialReport, TrialTask, run_trial

IDLE_SECONDS = 300.0  # after which a process on another machine ends


class LocalCrew:
    """Runs trials in processes of this machine.

    Args:
        environments: Environment variables of each worker.
        parcel: Packed search.
        folder: Folder of the search, in which the files are exchanged.
    """

    def __init__(self, environments: list[dict], parcel: bytes, folder: Path):
        def make_slot(index: int, folder: Path) -> ProcessSlot:
            return ProcessSlot(f"worker {index + 1}", folder, environments[index])

        self.size = len(environments)
        # Workers may have another current folder.
        self._pool = SlotPool(make_slot, folder.absolute())
        self._parcel = self._pool.folder / "search"
        self._parcel.write_bytes(parcel)
        self._threads = ThreadPoolExecutor(self.size, "kerascope-worker")

    def submit(self, task: TrialTask) -> Future:
        """Starts a trial, and returns a future of its `TrialReport`."""
        return self._threads.submit(run_in_slot, self._pool, self._parcel, task)

    def close(self) -> None:
        """Ends all processes at once."""
        self._pool.close()
        self._threads.shutdown(wait=True, cancel_futures=True)


class ExecutorCrew:
    """Runs trials on an executor, each in a process that the executor's worker starts.

    The extra process keeps the training apart from what the worker itself does. For
    example, the event loop of Dask draws from Python's global random generator.

    Args:
        executor: Executor that runs functions, perhaps on other machines.
        size: Number of trials that run at the same time.
        environment: Environment variables of the processes.
        parcel: Packed search, which is sent to each machine that does not have it.
    """

    def __init__(self, executor: Executor, size: int, environment: dict, parcel: bytes):
        self.size = size
        self._executor = executor
        self._environment = environment
        self._parcel = parcel
        self._key = uuid.uuid4().hex

    def submit(self, task: TrialTask) -> Future:
        """Starts a trial, and returns a future of its `TrialReport`."""
        outer: Future = Future()
        pickled = cloudpickle.dumps(task)

        def start(parcel: bytes | None) -> None:
            inner = self._executor.submit(
                run_remotely, self._key, parcel, pickled, self._environment
            )
            inner.add_done_callback(finish)

        def finish(inner: Future) -> None:
            try:
                report = inner.result()
                if report is None:  # the machine does not have the search yet
                    start(self._parcel)
                else:
                    outer.set_result(pickle.loads(report))
            except BaseException as error:  # which the driver raises
                outer.set_exception(error)

        start(None)
        return outer

    def close(self) -> None:
        """Does nothing: the executor belongs to the user, and idle processes end."""


def run_in_slot(pool: SlotPool, parcel: Path, task: TrialTask) -> TrialReport:
    """Runs a trial in the process of a free slot, and waits for its report."""
    with pool.lent_slot() as slot:
        report = slot.run(run_trial, parcel, task)
        return dataclasses.replace(report, worker=slot.name)


_pools: dict[str, SlotPool] = {}  # by search, in a worker of an executor


def run_remotely(
    key: str, parcel: bytes | None, task: bytes, environment: dict
) -> bytes | None:
    """Runs a trial in a process that this process starts, and returns its report.

    Args:
        key: Identifies the search.
        parcel: Packed search, or `None`.
        task: Pickled `TrialTask`.
        environment: Environment variables of the new process.

    Returns:
        The pickled `TrialReport`, or `None` if `parcel` is `None` and this process has
        not received the search yet.
    """
    if key not in _pools:
        if parcel is None:
            return None
        _close_old_pools()
        pool = _new_pool(environment)
        atexit.register(pool.close)
        (pool.folder / "search").write_bytes(parcel)
        _pools[key] = pool
    process = multiprocessing.current_process()
    if process.daemon:  # workers of Dask are, and could not start a process
        process.daemon = False
    pool = _pools[key]
    report = run_in_slot(pool, pool.folder / "search", pickle.loads(task))
    return cloudpickle.dumps(report)


def _close_old_pools() -> None:
    """Closes the pools of earlier searches."""
    for key, pool in list(_pools.items()):
        if pool.is_idle and time.monotonic() - pool.last_used > IDLE_SECONDS:
            _pools.pop(key).close()


def _new_pool(environment: dict[str, str]) -> SlotPool:
    host = socket.gethostname()

    def make_slot(index: int, folder: Path) -> ProcessSlot:
        name = f"{host} {os.getpid()} {index + 1}"
        return ProcessSlot(name, folder, environment, IDLE_SECONDS)

    return SlotPool(make_slot, Path(tempfile.gettempdir()))
