"""Functions that save and load the contents of reports."""

import hashlib
import json
import os
import zipfile
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from .arguments import invalid_argument
from .files import replacing

FACTS = "facts"  # name of the array that contains the JSON text


def save_report(
    path: str | os.PathLike, kind: str, facts: dict, arrays: dict[str, np.ndarray]
) -> None:
    """Saves a report to an `.npz` file, which can be loaded without pickle.

    Args:
        path: File that ends in ".npz". An existing file is replaced.
        kind: Name of the class of the report.
        facts: Dict that can be converted to JSON.
        arrays: Dict of arrays.

    Raises:
        ValueError: If the path does not end in ".npz".
    """
    path = _check_path(path)
    text = json.dumps({"kind": kind, **facts})
    with replacing(path) as partial:
        np.savez_compressed(partial, **{FACTS: np.array(text)}, **arrays)


def load_report(path: str | os.PathLike, kind: str) -> tuple[dict, dict]:
    """Loads the facts and the arrays of a report.

    Args:
        path: File that was written by `save_report`.
        kind: Name of the class of the report.

    Raises:
        ValueError: If the file contains something else.
    """
    path = _check_path(path)
    try:
        with np.load(path) as file:
            arrays = dict(file)
        facts = json.loads(str(arrays.pop(FACTS)))
        received = facts.pop("kind")
    except (KeyError, ValueError, zipfile.BadZipFile):
        received = str(path)
    if received != kind:
        raise invalid_argument("path", f"a file with a saved {kind}", received)
    return facts, arrays


def digest(arrays: Iterable[np.ndarray]) -> str:
    """Returns a hexadecimal digest of the values of some arrays."""
    result = hashlib.sha256()
    for array in arrays:
        result.update(np.ascontiguousarray(array).tobytes())
    return result.hexdigest()


def stack(by_epsilon: dict[float, np.ndarray]) -> np.ndarray:
    """Returns the values of a dict as one array."""
    return np.stack(list(by_epsilon.values()))


def _check_path(path) -> Path:
    path = Path(path)
    if path.suffix != ".npz":
        raise invalid_argument("path", 'a file that ends in ".npz"', str(path))
    return path
