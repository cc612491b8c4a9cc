"""Arrays of real numbers, from what users pass as such."""

import keras
import numpy as np

KINDS = "biuf"  # of `dtype.kind`: booleans, integers and floats
NAMES = (
    "Names of classes become labels with `class_names, y = np.unique(y, "
    "return_inverse=True)`. In a pandas DataFrame or Series, strings are categories."
)
HINTS = {  # by `dtype.kind`
    "c": "Pass real and imaginary parts as columns of their own.",
    "m": "Divide by a unit: `x / np.timedelta64(1, 's')`.",
    "M": "Make numbers of dates, such as the days since a first one.",
    "O": "If all of them are numbers, pass `x.astype('float32')`.",
    "S": NAMES,
    "U": NAMES,
    "V": "If these are numbers, pass `x.astype('float32')`; a structured array becomes "
    "a table with `pandas.DataFrame(x)`.",
}


def real_array(values, where: str) -> np.ndarray:
    """Returns an array of real numbers, without a copy where it is one.

    Args:
        values: Array, tensor or nested lists of integers, floats or booleans.
        where: What they are, for messages, such as "x of train".

    Raises:
        ValueError: If `values` is no such array, or some of its entries are masked.
    """
    if hasattr(values, "tocsr"):
        raise _invalid(
            where, "a dense array", f"a sparse {type(values).__name__}", "`x.toarray()`"
        )
    row = _first_masked(values)
    if row is not None:
        raise ValueError(
            f"Invalid values in {where}. Expected numbers. Received: a masked array, "
            f"with masked entries first in row {row}.\nA mask says what is missing: "
            "drop such rows, or fill them in with `x.filled(value)`, before training."
        )
    try:
        if keras.ops.is_tensor(values):
            values = keras.ops.convert_to_numpy(values)
        array = np.asarray(values)
    except Exception as error:  # of any library whose array this is
        fix = "Examples must have one shape: `keras.utils.pad_sequences` pads lists."
        if not isinstance(values, list | tuple):
            fix = "Convert it to a NumPy array first."
        received = f"{type(values).__name__}, of which NumPy makes none: {error}"
        raise _invalid(where, "an array of numbers", received, fix) from None
    if array.dtype.kind not in KINDS:
        received = f"dtype {array.dtype}"
        raise _invalid(where, "real numbers", received, HINTS.get(array.dtype.kind, ""))
    return array


def _first_masked(values) -> int | None:
    """The first row with a masked entry; of lists, the first such item."""
    if isinstance(values, np.ma.MaskedArray):
        mask = np.ma.getmaskarray(values).reshape(len(values) if values.ndim else 1, -1)
        rows = mask.any(axis=1)
    elif isinstance(values, list | tuple):
        rows = [np.ma.is_masked(item) for item in values]
    else:
        return None
    return int(np.argmax(rows)) if any(rows) else None


def _invalid(where: str, expected: str, received: str, fix: str) -> ValueError:
    message = f"Invalid {where}. Expected {expected}. Received: {received}"
    return ValueError(f"{message}\n{fix}" if fix else message)
