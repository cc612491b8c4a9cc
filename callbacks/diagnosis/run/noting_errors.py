"""Keeps errors in the diagnosis from stopping training."""

import contextlib
import re
import warnings
from collections.abc import Iterator

LONG = 160  # characters: messages of TensorFlow may contain all labels of a batch


def first_line(error: Exception) -> str:
    """Returns the first line of a message that says what is wrong, or its beginning.

    Keras begins the messages of errors in a layer with the name of its class, and
    TensorFlow begins those of operations with an internal name.
    """
    text = re.sub(r"\x1b\[[0-9;]*m", "", str(error))  # Keras prints some in bold
    text = re.sub(r"\{\{.*?\}\}", "", text)
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    if len(lines) > 1 and lines[0].startswith("Exception encountered when calling"):
        return _shortened(lines[1])
    return _shortened(lines[0]) if lines else ""


def _shortened(text: str) -> str:
    """Returns a long text up to the end of a sentence, or else of a word."""
    if len(text) <= LONG:
        return text
    begin = text[:LONG]
    return f"{begin.rpartition('. ')[0] or begin.rpartition(' ')[0] or begin} ..."


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
