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
from .row_order import order_problem
from .splits import SPLITS
from .table_columns import TableColumns

Pairs = dict[str, tuple[np.ndarray, np.ndarray]]


def read_pairs(train, validation, test) -> dict[str, tuple]:
    """Returns `(x, y)` for each split that is given as data rather than as a fraction.

    The values are not yet converted to arrays.

    Args:
        train: `(x, y)`, or the path of a `.npz` file.
        validation: `(x, y)`, a fraction or `None`.
        test: Like `validation`.

    Raises:
        ValueError: If a split is not a pair, or if the file does not exist, cannot be
            read or contains no train split.
    """
    if isinstance(train, str | os.PathLike):
        pairs = _read_npz(Path(train))
    else:
        pairs = {"train": _pair("train", train)}
    for split, value in (("test", test), ("validation", validation)):
        if isinstance(value, tuple | list):
            pairs[split] = _pair(split, value)
    return pairs


def encode_inputs(pairs: dict[str, tuple], vocabulary) -> tuple[dict, TableColumns]:
    """Returns the inputs of each split as arrays, and the columns of a `DataFrame`.

    Args:
        pairs: Result of `read_pairs`.
        vocabulary: List of tokens if the inputs are token ids, otherwise `None`.

    Raises:
        ValueError: If the inputs cannot be converted, or only some splits are data
            frames.
    """
    inputs = {split: x for split, (x, _) in pairs.items()}
    if vocabulary is not None or not isinstance(inputs["train"], pd.DataFrame):
        for split, x in inputs.items():
            if vocabulary is None and isinstance(x, pd.DataFrame):
                raise _mixed("x", "an array", split)
        arrays = {split: real_array(x, f"x of {split}") for split, x in inputs.items()}
        return arrays, TableColumns()
    encoder = FrameEncoder(inputs["train"], "x of train")
    encoded = {}
    for split, x in inputs.items():
        if not isinstance(x, pd.DataFrame):
            raise _mixed("x", "a DataFrame", split)
        encoded[split] = encoder(x, f"x of {split}")
    return encoded, encoder.columns


def encode_targets(
    pairs: dict[str, tuple], class_names, task: str | None
) -> tuple[dict, list[str] | None]:
    """Returns the targets of each split as arrays, and the names of classes or columns.

    The names are `None` if they are not known.

    Args:
        pairs: Result of `read_pairs`.
        class_names: Class names passed by the user, or `None`.
        task: The requested task, or `None` to infer the task.

    Raises:
        ValueError: If the targets cannot be converted, or their types differ between
            splits.
    """
    targets = {split: y for split, (_, y) in pairs.items()}
    if not isinstance(targets["train"], pd.Series | pd.DataFrame):
        for split, y in targets.items():
            if isinstance(y, pd.DataFrame) and y.shape[1] > 1:
                raise _mixed("y", "an array", split)
        encoder = None
    else:
        encoder = TargetEncoder(targets["train"], class_names, task)
    encoded = {}
    for split, y in targets.items():
        if encoder is not None:
            encoded[split] = encoder(y, f"y of {split}")
        elif isinstance(y, pd.Series):
            encoded[split] = numeric_values(y, f"y of {split}")
        else:
            encoded[split] = real_array(y, f"y of {split}")
    return encoded, None if encoder is None else encoder.names


def check_pairs(pairs: Pairs) -> None:
    """Raises an error if the arrays of a split are invalid.

    The shapes must match, no axis may be empty, and all values must be finite.
    """
    for split, (x, y) in pairs.items():
        shapes = x.shape[1:] + y.shape[1:]
        if x.ndim < 2 or y.ndim < 1 or len(x) != len(y) or 0 in shapes:
            raise ValueError(
                f"Invalid arrays for `{split}`. Expected x of shape (examples, ...) "
                "and y of the same length, with no axis empty. Received: x of shape "
                f"{x.shape}, y of shape {y.shape}"
                + ("\nPass a column as `x.reshape(-1, 1)`." if x.ndim == 1 else "")
            )
        check_not_empty(len(x), split, "Add examples, or omit the split.")
        for key, values in (("x", x), ("y", y)):
            check_finite(_as_float32(values), f"{key} of {split}")


def cut_fractions(pairs: Pairs, validation, test) -> Pairs:
    """Holds out examples for each split that is given as a fraction.

    The test split is taken first, from the end of the train split. The validation split
    is then taken from the end of the remaining examples.
    """
    pairs = dict(pairs)
    for split, value in (("test", test), ("validation", validation)):
        if value is not None and split not in pairs:
            fraction = check_fraction(split, value)
            if fraction:
                pairs["train"], pairs[split] = _cut(pairs["train"], split, fraction)
    return {split: pairs[split] for split in SPLITS if split in pairs}


def _read_npz(path: Path) -> dict[str, tuple]:
    if not path.is_file():
        raise invalid_argument(
            "train",
            "(x, y), or the path of a .npz file",
            str(path),
            f"There is no file '{path.absolute()}'.",
        )
    try:
        with np.load(path) as file:
            arrays = {name: file[name] for name in sorted(file.files)}
    except (AttributeError, EOFError, OSError, ValueError, BadZipFile) as error:
        raise ValueError(
            f"Cannot read '{path}'. Expected a .npz file of numbers, as written by "
            f"`np.savez`. Received: {error}"
        ) from None
    pairs = {
        split: (arrays[f"x_{split}"], arrays[f"y_{split}"])
        for split in SPLITS
        if f"x_{split}" in arrays and f"y_{split}" in arrays
    }
    if "train" not in pairs:
        raise ValueError(
            f"'{path}' contains no training examples. Expected arrays named x_train "
            f"and y_train. Received: {list(arrays)}"
        )
    return pairs


def _pair(split: str, value) -> tuple:
    if isinstance(value, tuple | list) and len(value) == 2:
        x, y = value
        is_series = isinstance(y, pd.Index | pd.api.extensions.ExtensionArray)
        return x, pd.Series(y) if is_series else y
    fix = ""
    if isinstance(value, pd.DataFrame):
        fix = "Split the frame: `(frame.drop(columns='label'), frame['label'])`."
    raise invalid_argument(split, "(x, y), a tuple of two arrays", value, fix)


def _as_float32(values: np.ndarray) -> np.ndarray:
    """Casts floats to float32; values that are too large become infinite."""
    if not np.issubdtype(values.dtype, np.floating):
        return values
    with np.errstate(over="ignore"):
        return values.astype("float32", copy=False)


def _cut(pair: tuple, split: str, fraction: float) -> tuple:
    """Holds out the last examples; returns the remaining and the held-out examples."""
    x, y = pair
    size = round(len(x) * fraction)
    reason = f"Train has {len(x)} examples, and {split}={fraction} is cut off its end."
    check_not_empty(size, split, reason)
    check_not_empty(len(x) - size, "train", reason)
    problem = order_problem(y[:-size], y[-size:])
    if problem:
        raise invalid_argument(
            split,
            "(x, y), or labels in random order, because a fraction is cut off the end "
            f"of the train split, and {problem}",
            fraction,
            "Shuffle first: `order = np.random.default_rng(0).permutation(len(y)); "
            "x, y = x[order], y[order]`.",
        )
    return (x[:-size], y[:-size]), (x[-size:], y[-size:])


def _mixed(key: str, kind: str, split: str) -> ValueError:
    return ValueError(
        f"The splits differ. Expected {kind} as {key} of {split}, as in train, so that "
        "the columns can be compared.\nPass a DataFrame for both splits, or convert it "
        "with `frame.to_numpy()`."
    )
