"""Runs trials in the workers of an executor."""

import atexit
import multiprocessing
import os
import pickle
import socket
import threading
import time
from pathlib import Path

import cloudpickle

from .local_crew import run_in_slot
from .process_slot import ProcessSlot
from .slot_pool import SlotPool

IDLE_SECONDS = 300.0  # after which a process ends

_pools: dict[str, SlotPool] = {}  # of this worker, by search
_guard = threading.Lock()  # a worker may run several trials in threads


def run_remotely(
    key: str, parcel: bytes | None, task: bytes, environment: dict
) -> bytes | None:
    """Runs a trial in a process that this worker starts, and returns its report.

    Args:
        key: Identifies the search.
        parcel: Packed search, or `None`.
        task: Pickled `TrialTask`.
        environment: Environment variables of the new process.

    Returns:
        The pickled `TrialReport`, or `None` if `parcel` is `None` and this worker has
        not received the search yet.
    """
    with _guard:
        if key not in _pools and parcel is not None:
            _close_old_pools()
            _pools[key] = _new_pool(parcel, environment)
        pool = _pools.get(key)
    if pool is None:
        return None
    process = multiprocessing.current_process()
    if process.daemon:  # workers of Dask are, and could not start a process
        process.daemon = False
    report = run_in_slot(pool, pool.folder / "search", pickle.loads(task))
    return cloudpickle.dumps(report)


def _close_old_pools() -> None:
    """Closes the pools of earlier searches."""
    for key, pool in list(_pools.items()):
        if pool.is_idle and time.monotonic() - pool.last_used > IDLE_SECONDS:
            _pools.pop(key).close()


def _new_pool(parcel: bytes, environment: dict[str, str]) -> SlotPool:
    host = socket.gethostname()

    def make_slot(index: int, folder: Path) -> ProcessSlot:
        name = f"{host} {os.getpid()} {index + 1}"
        return ProcessSlot(name, folder, environment, IDLE_SECONDS)

    pool = SlotPool(make_slot)
    (pool.folder / "search").write_bytes(parcel)
    atexit.register(pool.close)
    return pool
