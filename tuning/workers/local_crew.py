"""Workers that are processes of this machine."""

import dataclasses
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from .process_slot import ProcessSlot
from .slot_pool import SlotPool
from .trial_task import TrialReport, TrialTask, run_trial


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


def run_in_slot(pool: SlotPool, parcel: Path, task: TrialTask) -> TrialReport:
    """Runs a trial in the process of a free slot, and waits for its report.

    Args:
        pool: Pool with the slots.
        parcel: File with the packed search.
        task: Trial to run.
    """
    with pool.lent_slot() as slot:
        report = slot.run(run_trial, parcel, task)
        return dataclasses.replace(report, worker=slot.name)
