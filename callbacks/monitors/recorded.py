"""Shared helpers of the monitors for saving and plotting."""

import os
from pathlib import Path

import numpy as np

from zoo.utils.arguments import invalid_argument
from zoo.utils.files import replacing

MAX_PANELS = 12


def save_record(path: str | os.PathLike, monitor, info: dict) -> None:
    """Saves recorded data: the frame to a .csv file, or all arrays to an .npz file.

    Args:
        path: File to write, in an existing folder.
        monitor: Callback whose `to_frame()` returns the frame.
        info: Dict of arrays by name.

    Raises:
        ValueError: If `path` does not end in .csv or .npz.
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
    """Raises if nothing has been recorded."""
    if not count:
        raise ValueError(
            f"This {type(monitor).__name__} has recorded nothing. Expected at least "
            "one step of `model.fit(callbacks=[...])` with this callback."
        )


def spread(indices) -> list:
    """Returns at most `MAX_PANELS` of the indices, evenly spaced."""
    indices = list(indices)
    if len(indices) <= MAX_PANELS:
        return indices
    chosen = np.linspace(0, len(indices) - 1, MAX_PANELS).round().astype(int)
    return [indices[i] for i in chosen]


def panels(figure, count: int, columns: int = 4):
    """Returns a figure and `count` axes in it, in a new figure if it is `None`."""
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
