"""Converts recorded data to data frames, and saves it to files."""

import os
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from zoo.utils.arguments import invalid_argument
from zoo.utils.files import replacing


def frame_of(info: dict, columns: Iterable[str]):
    """Returns a `pandas.DataFrame` in long form: one row per record and variable.

    Args:
        info: Dict of arrays. The arrays named in `columns` have shape
            `(records, variables)`.
        columns: Names of the arrays to include.
    """
    import pandas as pd

    records, variables = len(info["step"]), len(info["variable"])
    frame = {name: np.repeat(info[name], variables) for name in ("step", "epoch")}
    frame["variable"] = np.tile(info["variable"], records)
    frame |= {name: info[name].ravel() for name in columns}
    for name in ("learning_rate", "skipped"):
        frame[name] = np.repeat(info[name], variables)
    return pd.DataFrame(frame)


def save_info(path: str | os.PathLike, monitor, info: dict) -> None:
    """Saves recorded data as a data frame in a .csv file, or as arrays in an .npz file.

    Args:
        path: File to write, in an existing folder.
        monitor: Callback whose `to_frame()` method returns the data frame.
        info: Dict that maps names to arrays.

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
