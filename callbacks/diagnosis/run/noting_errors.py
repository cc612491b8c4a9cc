"""Keeps errors in the diagnosis from stopping training."""

import contextlib
import warnings
from collections.abc import Iterator


@contextlib.contextmanager
def noting_errors(what: str, failed: list[str]) -> Iterator[None]:
    """Catches an error, and adds its message to a list, which the report shows.

    Args:
        what: What is looked at, for the message.
        failed: List of all messages so far.
    """
    try:
        with warnings.catch_warnings():
            # NumPy warns about the figures of runs that diverge.
            warnings.simplefilter("ignore", RuntimeWarning)
            yield
    except Exception as error:
        text = str(error).strip().partition("\n")[0]
        message = f"{what} ({type(error).__name__}: {text})"
        if message not in failed:
            failed.append(message)
