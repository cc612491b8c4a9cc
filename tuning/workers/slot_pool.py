"""Pool of slots that share a folder."""

import contextlib
import shutil
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from ..project import EXCHANGE
from .process_slot import ProcessSlot, SlotClosed


class SlotPool:
    """Lends slots to threads, and creates slots as they are needed.

    Args:
        make_slot: Function that receives the index of a slot, counted from 0, and the
            folder for its files. It returns the slot.
        parent: Folder in which the folder of the pool is created. Defaults to `None`,
            which means the folder for temporary files.

    Attributes:
        folder: Folder of the pool, which is removed when the pool is closed.
        last_used: Time at which a slot was last lent or returned, as in
            `time.monotonic`.
    """

    def __init__(
        self, make_slot: Callable[[int, Path], ProcessSlot], parent: Path | None = None
    ):
        self.folder = Path(tempfile.mkdtemp(prefix=EXCHANGE, dir=parent))
        self._make_slot = make_slot
        self._slots: list[ProcessSlot] = []
        self._free: list[ProcessSlot] = []
        self._guard = threading.Lock()
        self._is_closed = False
        self.last_used = time.monotonic()

    @property
    def is_idle(self) -> bool:
        """Whether no slot is in use."""
        return len(self._free) == len(self._slots)

    @contextlib.contextmanager
    def lent_slot(self) -> Iterator[ProcessSlot]:
        """Lends a free slot, or a new one if all others are in use.

        Raises:
            SlotClosed: If the pool is closed.
        """
        with self._guard:
            if self._is_closed:
                raise SlotClosed("the pool was closed")
            if not self._free:
                slot = self._make_slot(len(self._slots), self.folder)
                self._slots.append(slot)
                self._free.append(slot)
            slot = self._free.pop()
            self.last_used = time.monotonic()
        try:
            yield slot
        finally:
            with self._guard:
                self._free.append(slot)
                self.last_used = time.monotonic()

    def close(self) -> None:
        """Ends the processes of all slots, and removes the folder."""
        with self._guard:
            self._is_closed = True
        for slot in self._slots:
            slot.close()
        shutil.rmtree(self.folder, ignore_errors=True)
