"""Checks and describes the arguments of `ResumeTraining`."""

import os

import keras

from zoo.utils.arguments import (
    check_integer,
    check_positive,
    invalid_argument,
    is_integer,
)

from ..monitors.summaries import number_of


def check_directory(directory) -> None:
    """Raises an error that shows the call unless the folder is a path."""
    if isinstance(directory, str | os.PathLike) and os.fspath(directory):
        return
    fix = ""
    if is_integer(directory):
        fix = f"Pass the folder first: `ResumeTraining('backup', every={directory})`."
    elif isinstance(directory, list | tuple | keras.callbacks.Callback):
        fix = "Pass the folder first: `ResumeTraining('backup', callbacks=[...])`."
    raise invalid_argument("directory", "the path of a folder", directory, fix)


def check_interval(every, seconds) -> tuple[int | str | None, float | None]:
    """Returns the interval between saves in steps or epochs, and in seconds."""
    if every is not None and seconds is not None:
        fix = "`seconds` replaces `every`."
        raise invalid_argument("every", "None with `seconds`", every, fix)
    if seconds is not None:
        return None, check_positive("seconds", seconds)
    if isinstance(every, str):
        if every != "epoch":
            raise invalid_argument("every", "'epoch', or an integer >= 1", every)
    elif every is not None:
        every = check_integer("every", every, minimum=1)
    return every or "epoch", None


def interval_text(every, seconds) -> str:
    """Returns a phrase such as "every 50 steps" for the result of `check_interval`."""
    if seconds is not None:
        return f"every {seconds:g} seconds"
    if every == "epoch":
        return "at the end of every epoch"
    return f"every {number_of(every, 'step')}"
