"""Encoders that convert pandas DataFrames and Series to numeric arrays."""

import numpy as np
import pandas as pd

from .columns import (
    category_codes,
    check_complete,
    distinct_values,
    is_boolean,
    is_categorical,
    numeric_values,
)
from .table_columns import TableColumns

MAX_CATEGORIES = 1000  # per column, because each category becomes a column of its own


class FrameEncoder:
    """Encodes data frames as float32 arrays, using the categories of the train split.

    - A column of numbers or booleans, possibly of a nullable dtype, remains one column.
      Booleans become 0 and 1.
    - A column of strings or categories is one-hot encoded: each category becomes a
      column of zeros and ones, named "column=category". For a categorical dtype, the
      categories of the dtype are used, in order. For strings, the sorted distinct
      values in the train split are used.
    - Columns of all other types, such as dates, are rejected.

    Columns are matched by name, so they may be in any order. Rows are matched by
    position, and the index is ignored.

    Args:
        frame: The `pandas.DataFrame` of the train split.
        where: Description of the frame for error messages, such as "x of train".

    Raises:
        ValueError: If two columns have the same name, or a column cannot be encoded.

    Example:

    >>> import pandas as pd
    >>> from zoo.datasets.frames import FrameEncoder
    >>> frame = pd.DataFrame({"age": [30, 40], "town": ["York", "Bath"]})
    >>> encoder = FrameEncoder(frame, "x of train")
    >>> encoder.columns.feature_names
    ['age', 'town=Bath', 'town=York']
    >>> encoder(frame, "x of train").tolist()
    [[30.0, 0.0, 1.0], [40.0, 1.0, 0.0]]
    """

    def __init__(self, frame: pd.DataFrame, where: str):
        names = [_name(column) for column in frame.columns]
        if len(set(names)) < len(names):
            twice = next(name for name in names if names.count(name) > 1)
            raise ValueError(
                f"Invalid {where}. Expected columns with different names. Received: "
                f"'{twice}' {names.count(twice)} times"
            )
        self._categories = {}
        for name, (_, column) in zip(names, frame.items(), strict=True):
            self._categories[name] = _categories(column, _column_in(name, where))
        self.columns = TableColumns.of_categories(self._categories)

    def __call__(self, frame: pd.DataFrame, where: str) -> np.ndarray:
        """Encodes a frame as a float32 array with a column for each feature name."""
        columns = self._columns(frame, where)
        encoded = np.empty(
            (len(frame), len(self.columns.feature_names or ())), "float32"
        )
        start = 0
        for name, categories in self._categories.items():
            column, column_where = columns[name], _column_in(name, where)
            if categories is None:
                encoded[:, start] = _numbers(column, column_where)
                start += 1
            else:
                stop = start + len(categories)
                codes = category_codes(column, categories, column_where)
                encoded[:, start:stop] = codes[:, None] == np.arange(stop - start)
                start = stop
        return encoded

    def _columns(self, frame, where: str) -> dict[str, pd.Series]:
        columns = {_name(label): column for label, column in frame.items()}
        expected = list(self._categories)
        if set(columns) != set(expected) or len(columns) != frame.shape[1]:
            received = list(map(_name, frame.columns))
            missing = [name for name in expected if name not in columns]
            other = [name for name in received if name not in self._categories]
            raise ValueError(
                f"Invalid {where}. Expected the columns of train, in any order. "
                f"Received: missing columns {missing}, other columns {other}; columns "
                f"of this frame: {received}"
            )
        return columns


class TargetEncoder:
    """Encodes pandas targets as arrays, using the classes of the train split.

    A single column of strings or categories is converted to labels. If `class_names` is
    given, the label of a value is the index of the value in `class_names`. Otherwise,
    the label is the index of the value in the list of categories, which is determined
    as in `FrameEncoder`. If there are several columns, they must contain numbers or
    booleans, and are matched by name. Numbers and booleans are not changed. Rows are
    matched by position.

    Args:
        targets: The `pandas.Series` or `pandas.DataFrame` of the train split.
        class_names: Names of the classes in the order of their labels, or `None`.
        task: The requested task, or `None` to infer the task.

    Raises:
        ValueError: If the targets cannot be encoded.
    """

    def __init__(self, targets, class_names, task: str | None):
        self._columns = self._categories = self.names = None
        if isinstance(targets, pd.DataFrame) and targets.shape[1] != 1:
            self._columns = list(targets.columns)
            self.names = [_name(column) for column in self._columns]
            return
        column = _only_column(targets)
        if is_categorical(column):
            if task not in (None, "classification"):
                raise ValueError(
                    f"Invalid y of train. Expected numbers for task {task!r}. "
                    f"Received: class names, such as {column.iloc[0]!r}"
                )
            check_complete(column, "y of train")
            categories = distinct_values(column)
            # Invalid `class_names` are rejected later, for targets of every kind.
            named = isinstance(class_names, list | tuple | np.ndarray)
            self._categories = list(class_names) if named else categories
            self._known = "names in `class_names`" if named else "values in train"
            self.names = list(map(str, self._categories))
        elif task in (None, "classification") and is_boolean(column):
            self.names = ["False", "True"]

    def __call__(self, targets, where: str) -> np.ndarray:
        """Encodes the targets of a split as an array.

        Args:
            targets: A `pandas.Series`, or a `pandas.DataFrame` with the same columns as
                the train split. A single column may also be passed as an array.
            where: Description of the targets for error messages, such as "y of test".

        Raises:
            ValueError: If the targets cannot be encoded.
        """
        if self._columns is not None:
            return _matrix(targets, self._columns, where)
        if not isinstance(targets, pd.Series | pd.DataFrame):
            targets = pd.Series(np.asarray(targets).ravel())
        column = _only_column(targets)
        if self._categories is not None:
            return category_codes(column, self._categories, where, self._known)
        return numeric_values(column, where, or_names=True)


def _only_column(targets) -> pd.Series:
    return targets.iloc[:, 0] if isinstance(targets, pd.DataFrame) else targets


def _matrix(targets, columns: list, where: str) -> np.ndarray:
    is_frame = isinstance(targets, pd.DataFrame)
    received = list(targets.columns) if is_frame else type(targets).__name__
    if not is_frame or sorted(map(_name, received)) != sorted(map(_name, columns)):
        raise ValueError(
            f"Invalid {where}. Expected a DataFrame with the columns of train, "
            f"{list(map(_name, columns))}. Received: {received}"
        )
    return np.stack(
        [
            numeric_values(targets[column], _column_in(_name(column), where))
            for column in columns
        ],
        axis=1,
    )


def _categories(column: pd.Series, where: str) -> list | None:
    """Returns the categories of a column, or `None` if it is not categorical."""
    check_complete(column, where)
    if not is_categorical(column):
        return None
    categories = distinct_values(column)
    if len(categories) > MAX_CATEGORIES:
        raise ValueError(
            f"Invalid {where}. Expected at most {MAX_CATEGORIES} categories. Received: "
            f"{len(categories)} different values in {len(column)} rows\nDrop the "
            "column if it identifies rows, or convert it to numbers."
        )
    return categories


def _numbers(column: pd.Series, where: str) -> np.ndarray:
    """Returns the values of a numeric or boolean column as a float32 array."""
    values = numeric_values(column, where, or_names=True)
    with np.errstate(over="ignore"):
        values = values.astype("float32")
    if not np.isfinite(values).all():
        row = int(np.argmin(np.isfinite(values)))
        raise ValueError(
            f"Invalid {where}. Expected finite numbers in the range of float32. "
            f"Received: {column.iloc[row]!r} in row {row}"
        )
    return values


def _name(label) -> str:
    """Returns the name of a column, with the levels of a MultiIndex joined by "/"."""
    return "/".join(map(str, label)) if isinstance(label, tuple) else str(label)


def _column_in(name: str, where: str) -> str:
    return f"column '{name}' in {where}"
