"""Writes TensorBoard event files."""

import os
import time

import numpy as np

from zoo.utils.arguments import invalid_argument
from zoo.utils.files import writable_folder


class EventLog:
    """Writes scalars and histograms for TensorBoard, on every backend.

    This class requires the `tensorboard` package, but not TensorFlow.

    Args:
        folder: Folder for the event files, created if it does not exist.

    Raises:
        OSError: If the folder is not writable.
    """

    def __init__(self, folder: str | os.PathLike):
        from tensorboard.summary.writer.event_file_writer import EventFileWriter

        self._writer = EventFileWriter(str(writable_folder(folder)))

    def add_scalar(self, tag: str, value: float, step: int) -> None:
        """Adds one point to the curve named `tag`."""
        from tensorboard.plugins.scalar.summary_v2 import scalar_pb

        self._add(scalar_pb(tag, float(value)), step)

    def add_histogram(self, tag: str, edges, counts, step: int) -> None:
        """Adds one histogram to the series named `tag`.

        Args:
            tag: Name of the series.
            edges: Array of bin edges, with one more entry than there are bins.
            counts: Array with the number of entries in each bin.
            step: Step number.
        """
        from tensorboard.compat.proto.summary_pb2 import Summary
        from tensorboard.plugins.histogram.metadata import create_summary_metadata
        from tensorboard.util.tensor_util import make_tensor_proto

        buckets = np.stack([edges[:-1], edges[1:], counts], axis=1)
        summary = Summary()
        summary.value.add(
            tag=tag,
            metadata=create_summary_metadata(display_name=None, description=None),
            tensor=make_tensor_proto(buckets, dtype=np.float64),
        )
        self._add(summary, step)

    def flush(self) -> None:
        """Writes buffered events to disk, where TensorBoard can read them."""
        self._writer.flush()

    def close(self) -> None:
        """Closes the event file."""
        self._writer.close()

    def _add(self, summary, step: int):
        from tensorboard.compat.proto.event_pb2 import Event

        event = Event(wall_time=time.time(), step=int(step), summary=summary)
        self._writer.add_event(event)


def check_log_dir(value) -> str | None:
    """Returns the path as a string, or `None` if `value` is `None`.

    Raises an error if `value` is neither a path nor `None`.
    """
    if value is not None and not isinstance(value, str | os.PathLike):
        raise invalid_argument("log_dir", "the path of a folder, or None", value)
    return None if value is None else os.fspath(value)
