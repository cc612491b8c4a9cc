"""The exception with which Ctrl-C ends a search."""

import contextlib
from collections.abc import Iterator


class SearchInterrupted(SystemExit, KeyboardInterrupt):
    """Ends a program with one line instead of a traceback, unless it is caught.

    It can be caught like any other `KeyboardInterrupt`.
    """


@contextlib.contextmanager
def explained_interrupts(folder) -> Iterator[None]:
    """Turns Ctrl-C into an exception that says how to continue the search.

    Args:
        folder: Folder of the search.
    """
    try:
        yield
    except KeyboardInterrupt:
        raise SearchInterrupted(
            f"Interrupted: all finished trials are in '{folder}'. To continue the "
            "search, run the same program again."
        ) from None
