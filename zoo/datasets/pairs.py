"""Conversion of the arguments of `from_arrays` to numeric arrays for each split."""

import os
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
import pandas as pd

from ..utils.arguments import check_fraction, invalid_argument
from ..utils.real_array import real_array
from .arrays import check_finite, check_not_empty
from .columns import numeric_values
from .frames import FrameEncoder, TargetEncoder
from .splits import PARTS

Pairs = dict[str, tuple[np.ndarray, np.ndarray]]


def read_pairs(train, validation, test) -> dict[str, tuple]:
    """Returns the unchanged `(x, y)` of train and of splits that are not fractions.

    Args:
        train: `(x, y)`, or the path of a `.npz` file.
        validation: `(x, y)`, a fraction or `None`.
        test: Like `validation`.

    Raises:
        ValueError: If a split is not a pair, or the file has no train split.
    """
    if isinstance(train, str | os.PathLike):
        pairs = _read_npz(Path(train))
    else:
        pairs = {"train": _pair("train", train)}
    for part, value in (("test", test), ("validation", validation)):
        if isinstance(value, tuple | list):
            pairs[part] = _pair(part, value)
    return pairs


def encode_inputs(pairs: dict[str, tuple], vocabulary) -> tuple[dict, list | None]:
    """Returns the inputs of each split as arrays, and the names of their columns.

    Args:
        pairs: Result of `read_pairs`.
        vocabulary: List of tokens if the inputs are token ids, otherwise `None`.
    """
    inputs = {part: x for part, (x, _) in pairs.items()}
    if vocabulary is not None or not isinstance(inputs["train"], pd.DataFrame):
        for part, x in inputs.items():
            if vocabulary is None and isinstance(x, pd.DataFrame):
                raise _mixed("x", "an array", part)
        return {part: real_array(x, f"x of {part}") for part, x in inputs.items()}, None
    encoder = FrameEncoder(inputs["train"], "x of train")
    encoded = {}
    for part, x in inputs.items():
        if not isinstance(x, pd.DataFrame):
            raise _mixed("x", "a DataFrame", part)
        encoded[part] = encoder(x, f"x of {part}")
    return encoded, encoder.names


def encode_targets(
    pairs: dict[str, tuple], class_names, task: str | None
) -> tuple[dict, list[str] | None]:
    """Returns the targets of each split as arrays, and their class or column names.

    Args:
        pairs: Result of `read_pairs`.
        class_names: Names of the classes from the user, or `None`.
        task: The requested task, or `None`.
    """
    targets = {part: y for part, (_, y) in pairs.items()}
    if not isinstance(targets["train"], pd.Series | pd.DataFrame):
        for part, y in targets.items():
            if isinstance(y, pd.DataFrame) and y.shape[1] > 1:
                raise _mixed("y", "an array", part)
        encoder = None
    else:
        encoder = TargetEncoder(targets["train"], class_names, task)
    encoded = {}
    for part, y in targets.items():
        if encoder is not None:
            encoded[part] = encoder(y, f"y of {part}")
        elif isinstance(y, pd.Series):
            encoded[part] = numeric_values(y, f"y of {part}")
        else:
            encoded[part] = real_array(y, f"y of {part}")
    return encoded, None if encoder is None else encoder.names


def check_pairs(pairs: Pairs) -> None:
    """Raises if lengths differ, an axis is empty, or a value is not finite."""
    for part, (x, y) in pairs.items():
        shapes = x.shape[1:] + y.shape[1:]
        if x.ndim < 2 or y.ndim < 1 or len(x) != len(y) or 0 in shapes:
            raise ValueError(
                f"Invalid arrays for `{part}`. Expected x of shape (examples, ...) and "
                "y of the same length, no axis empty. Received: x of shape "
                f"{x.shape}, y of shape {y.shape}"
                + ("\nPass a column as `x.reshape(-1, 1)`." if x.ndim == 1 else "")
            )
        check_not_empty(len(x), part, "Add examples, or omit the split.")
        for key, values in (("x", x), ("y", y)):
            check_finite(_as_float32(values), f"{key} of {part}")


def cut_fractions(pairs: Pairs, validation, test) -> Pairs:
    """Cuts test, then validation, off the end of train, where given as fractions."""
    pairs = dict(pairs)
    for part, value in (("test", test), ("validation", validation)):
        if value is not None and part not in pairs:
            fraction = check_fraction(part, value)
            if fraction:
                pairs["train"], pairs[part] = _cut(pairs["train"], part, fraction)
    return {part: pairs[part] for part in PARTS if part in pairs}


def _read_npz(path: Path) -> dict[str, tuple]:
    if not path.is_file():
        raise invalid_argument("train", "(x, y), or the path of a .npz file", str(path))
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in sorted(file.files)}
    except (AttributeError, EOFError, OSError, ValueError, BadZipFile) as error:
        raise ValueError(
            f"Cannot read '{path}'. Expected a .npz file of numbers, as `np.savez` "
            f"writes it. Received: {error}"
        ) from None
    pairs = {
        part: (arrays[f"x_{part}"], arrays[f"y_{part}"])
        for part in PARTS
        if f"x_{part}" in arrays and f"y_{part}" in arrays
    }
    if "train" not in pairs:
        raise ValueError(
            f"'{path}' holds no training examples. Expected arrays named x_train and "
            f"y_train. Received: {list(arrays)}"
        )
    return pairs


def _pair(part: str, value) -> tuple:
    if isinstance(value, tuple | list) and len(value) == 2:
        x, y = value
        is_series = isinstance(y, pd.Index | pd.api.extensions.ExtensionArray)
        return x, pd.Series(y) if is_series else y
    received, fix = type(value).__name__, ""
    if isinstance(value, tuple | list):
        received = f"{received} of {len(value)}"
    if isinstance(value, pd.DataFrame):
        fix = "Split the frame: `(frame.drop(columns='label'), frame['label'])`."
    raise invalid_argument(part, "(x, y), a tuple of two arrays", received, fix)


def _as_float32(values: np.ndarray) -> np.ndarray:
    """Returns floats in their stored dtype, in which large values become infinite."""
    if not np.issubdtype(values.dtype, np.floating):
        return values
    with np.errstate(over="ignore"):
        return values.astype("float32", copy=False)


def _cut(pair: tuple, part: str, fraction: float) -> tuple:
    """Cuts a fraction off the end of a split, and returns the rest and that part."""
    x, y = pair
    size = round(len(x) * fraction)
    reason = f"It is cut from {len(x)} examples with {part}={fraction}."
    check_not_empty(size, part, reason)
    check_not_empty(len(x) - size, "train", reason)
    return (x[:-size], y[:-size]), (x[-size:], y[-size:])


def _mixed(key: str, kind: str, part: str) -> ValueError:
    return ValueError(
        f"Splits differ. Expected {kind} as {key} of {part}, as in train, so that "
        "the columns can be compared.\nPass a DataFrame in both, or "
        "`frame.to_numpy()`."
    )
