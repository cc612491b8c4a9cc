"""What monitors do with their records: frames, files and panels."""

import os
from pathlib import Path

import numpy as np

from zoo.utils.arguments import invalid_argument
from zoo.utils.files import replacing

MAX_PANELS = 12


def save_record(path: str | os.PathLike, monitor, info: dict) -> None:
    """Writes a record: the frame as .csv, or all arrays as .npz.

    Args:
        path: File to write, of which the folder exists.
        monitor: What has the frame, as `to_frame()`.
        info: Arrays by name.

    Raises:
        ValueError: If `path` ends differently.
    """
    ending = Path(path).suffix if isinstance(path, str | os.PathLike) else None
    if ending not in (".csv", ".npz"):
        raise invalid_argument("path", "a path that ends in .csv or .npz", path)
    with replacing(path) as partial:
        if ending == ".csv":
            monitor.to_frame().to_csv(partial, index=False)
        else:
            np.savez_compressed(partial, **info)


def check_recorded(monitor, count: int) -> None:
    """Raises if there is nothing to draw."""
    if not count:
        raise ValueError(
            f"This {type(monitor).__name__} has recorded nothing. Expected it to have "
            "been passed to `model.fit(callbacks=[...])`, with at least one step."
        )


def spread(indices) -> list:
    """Returns at most as many as there are panels, evenly spread over all."""
    indices = list(indices)
    if len(indices) <= MAX_PANELS:
        return indices
    chosen = np.linspace(0, len(indices) - 1, MAX_PANELS).round().astype(int)
    return [indices[i] for i in chosen]


def panels(figure, count: int, columns: int = 4):
    """Returns a figure, new where it is `None`, and that many axes in it."""
    import matplotlib.pyplot as plt

    columns = min(columns, count)
    rows = -(-count // columns)
    if figure is None:
        size = (3.2 * columns + 0.6, 2.5 * rows + 0.5)
        figure = plt.figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False)
    for spare in axes.flat[count:]:
        spare.remove()
    return figure, list(axes.flat[:count])
