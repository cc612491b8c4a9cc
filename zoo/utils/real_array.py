"""Conversion of array-like arguments to arrays of real numbers."""

import keras
import numpy as np

KINDS = "biuf"  # values of `dtype.kind`: booleans, integers and floats
NAMES = (
    "Convert class names to labels: `class_names, y = np.unique(y, "
    "return_inverse=True)`. In a pandas DataFrame or Series, strings are categories."
)
HINTS = {  # by `dtype.kind`
    "c": "Pass real and imaginary parts as separate columns.",
    "m": "Divide by a unit: `x / np.timedelta64(1, 's')`.",
    "M": "Convert dates to numbers, such as the days since the first date.",
    "O": "If all entries are numbers, pass `x.astype('float32')`.",
    "S": NAMES,
    "U": NAMES,
    "V": "If these are numbers, pass `x.astype('float32')`; a structured array becomes "
    "a table with `pandas.DataFrame(x)`.",
}


def real_array(values, where: str) -> np.ndarray:
    """Converts values to a NumPy array of real numbers.

    If the values already form such an array, the array is returned without a copy.

    Args:
        values: Array, tensor or nested lists of integers, floats or booleans.
        where: Description of the values for error messages, such as "x of train".

    Raises:
        ValueError: If `values` cannot be converted to such an array, or contains masked
            entries.
    """
    if hasattr(values, "tocsr"):
        raise _invalid(
            where, "a dense array", f"a sparse {type(values).__name__}", "`x.toarray()`"
        )
    row = _first_masked(values)
    if row is not None:
        raise ValueError(
            f"Invalid values in {where}. Expected numbers. Received: a masked array, "
            f"with masked entries first in row {row}.\nMasked entries are missing: "
            "drop their rows or fill them with `x.filled(value)`, before training."
        )
    try:
        if keras.ops.is_tensor(values):
            values = keras.ops.convert_to_numpy(values)
        array = np.asarray(values)
    except Exception as error:  # from any array library
        fix = "Examples must have equal shapes: `keras.utils.pad_sequences` pads lists."
        if not isinstance(values, list | tuple):
            fix = "Convert it to a NumPy array first."
        received = f"{type(values).__name__}, which NumPy cannot convert: {error}"
        raise _invalid(where, "an array of numbers", received, fix) from None
    if array.dtype.kind not in KINDS:
        received = f"dtype {array.dtype}"
        raise _invalid(where, "real numbers", received, HINTS.get(array.dtype.kind, ""))
    return array


def _first_masked(values) -> int | None:
    """Returns the index of the first row (or list item) with a masked entry, if any."""
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
