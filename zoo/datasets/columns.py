"""Conversion of pandas columns to numbers and category codes."""

import numpy as np
import pandas as pd
from pandas.api import types

NO_NUMBERS = {  # maps type names from `infer_dtype` to the text of a fix
    "datetime": "Convert it to a number, such as the days since a fixed date.",
    "timedelta": "Convert it to a number of seconds: `.dt.total_seconds()`.",
    "period": "Convert it to a number, such as the year: `.dt.year`.",
    "interval": "Use its two end points, or convert it to strings: `.astype(str)`.",
    "complex": "Split it into columns of real and imaginary parts.",
    "bytes": "Decode it to strings, which are supported: `.str.decode('utf-8')`.",
}
NUMBERS = ("integer", "floating", "mixed-integer-float", "decimal", "boolean")


def category_codes(
    column: pd.Series, categories: list, where: str, known: str = "values in train"
) -> np.ndarray:
    """Converts every value of a column to its index in `categories`.

    Args:
        column: A `pandas.Series` without missing values.
        categories: The valid values.
        where: Description of the column for error messages.
        known: Description of the categories for error messages.

    Raises:
        ValueError: If a value is missing or is not one of the categories.
    """
    check_complete(column, where)
    values = column.astype(object)
    codes = pd.Index(categories, dtype=object).get_indexer(values)
    if (codes < 0).any():
        row = int(np.argmax(codes < 0))
        raise ValueError(
            f"Invalid {where}. Expected one of the {len(categories)} {known}. "
            f"Received: {values.iloc[row]!r} in row {row}\nDrop such rows, or list all "
            "values that may occur: with `.astype(pd.CategoricalDtype(values))` in "
            "train, or for labels with `class_names`."
        )
    return codes


def is_categorical(column: pd.Series) -> bool:
    """Returns whether a column contains strings or has a categorical dtype."""
    if isinstance(column.dtype, pd.CategoricalDtype):
        return True
    return types.infer_dtype(column, skipna=True) in ("string", "empty") and not (
        types.is_numeric_dtype(column.dtype)
    )


def is_boolean(column: pd.Series) -> bool:
    """Returns whether a column contains only booleans and, possibly, missing values."""
    return types.infer_dtype(column, skipna=True) == "boolean"


def distinct_values(column: pd.Series) -> list:
    """Returns the possible values of a column that contains categories or strings.

    If the dtype is categorical, the result contains its categories in order; otherwise,
    the result contains the sorted distinct values of the column.
    """
    if isinstance(column.dtype, pd.CategoricalDtype):
        return column.cat.categories.tolist()
    return sorted(column.dropna().unique())


def numeric_values(column: pd.Series, where: str, *, or_names=False) -> np.ndarray:
    """Returns the values of a numeric or boolean column as a NumPy array.

    Args:
        column: A `pandas.Series`.
        where: Description of the column for error messages.
        or_names: Whether error messages say that strings and categories are also
            valid. Defaults to `False`.

    Raises:
        ValueError: If a value is missing, or is neither a real number nor a boolean.
    """
    check_complete(column, where)
    dtype = column.dtype
    kind = types.infer_dtype(column)
    if types.is_object_dtype(dtype) and kind in NUMBERS:
        return column.to_numpy("bool" if kind == "boolean" else "float64")
    if types.is_bool_dtype(dtype):
        return column.to_numpy("bool")
    if types.is_numeric_dtype(dtype) and not types.is_complex_dtype(dtype):
        if isinstance(dtype, np.dtype):
            return column.to_numpy()
        return column.to_numpy("int64" if types.is_integer_dtype(dtype) else "float64")
    fixes = [fix for name, fix in NO_NUMBERS.items() if kind.startswith(name)]
    fixes += [NO_NUMBERS["datetime"]] if kind == "date" else []
    fixes += ["Convert it to numbers with `.astype`, or drop it."]
    expected = "numbers or booleans"
    # A categorical column is rejected here only if it is numeric in the train split.
    if or_names and not is_categorical(column):
        expected = "numbers, booleans, strings or categories"
    raise ValueError(
        f"Invalid {where}. Expected {expected}. Received: {kind} values of dtype "
        f"{dtype}\n{fixes[0]}"
    )


def check_complete(column: pd.Series, where: str) -> None:
    """Raises an error if a value is missing; the message names the first such row."""
    missing = column.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"Invalid {where}. Expected a value in every row. Received: "
            f"{int(missing.sum())} missing of {len(column)}, first in row "
            f"{int(np.argmax(missing))}\nBefore training, drop such rows with "
            "`dropna` or fill the gaps with `fillna`."
        )
