"""Keeps errors in the diagnosis from stopping training."""

import contextlib
import re
import warnings
from collections.abc import Iterator


def first_line(error: Exception) -> str:
    """Returns the first line of a message that says what is wrong.

    Keras begins the messages of errors in a layer with the name of its class.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # Keras prints some in bold
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Exception encountered when calling"):
        return lines[1]
    return lines[0] if lines else ""


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
        message = f"{what} ({type(error).__name__}: {first_line(error)})"
        if message not in failed:
            failed.append(message)
