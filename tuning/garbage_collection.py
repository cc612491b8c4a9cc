"""Garbage collection that is fast enough to come after each trial."""

import contextlib
import gc
from collections.abc import Iterator


@contextlib.contextmanager
def fast_garbage_collection() -> Iterator[None]:
    """Leaves what is there now out of garbage collection, which each trial needs.

    A process with TensorFlow has a million objects to look through, a quarter of a
    second each time; the ones of a trial are few.
    """
    if gc.get_freeze_count():  # someone else has done so
        yield
        return
    gc.collect()
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()
