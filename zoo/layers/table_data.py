"""Tables that layers adapt to."""

from collections.abc import Iterable, Iterator

import numpy as np
from keras import ops

from ..utils.arguments import invalid_argument
from ..utils.real_array import real_array


def check_table(shape) -> None:
    """Raises an error unless `shape` is the shape of a batch of table rows."""
    if len(shape) != 2:
        raise ValueError(
            "Invalid inputs. Expected a table, of shape (batch, columns). "
            f"Received: shape={tuple(shape)}\n"
            "For images, use `data.normalization()` instead."
        )


def tables(data) -> Iterator[np.ndarray]:
    """Yields each table in `data` as an array of finite real numbers.

    Args:
        data: Array, tensor or data frame of shape `(examples, columns)`, or an
            iterable of such batches. If the batches are pairs `(x, y)`, only `x` is
            used.

    Raises:
        ValueError: If `data` contains anything but tables of finite numbers.
    """
    is_array = hasattr(data, "__array__") or ops.is_tensor(data)
    if not is_array and (isinstance(data, str) or not isinstance(data, Iterable)):
        expected = "an array or data frame, or an iterable of batches"
        raise invalid_argument("data", expected, data)
    for batch in [data] if is_array else data:
        x = batch[0] if isinstance(batch, tuple | list) else batch
        rows = real_array(x, "data")
        check_table(rows.shape)
        if not np.isfinite(rows).all():
            raise ValueError(
                "Invalid inputs. Expected finite numbers. Received: NaN or an "
                "infinity.\nDrop such rows, or impute the values."
            )
        yield rows


def whole_table(data) -> np.ndarray:
    """Returns all rows of `data` as one float32 array; see `tables`.

    Raises:
        ValueError: If `data` has no rows, or batches with different numbers of columns.
    """
    parts = [rows for rows in tables(data) if len(rows)]
    if not parts:
        raise empty_table()
    columns = {rows.shape[1] for rows in parts}
    if len(columns) > 1:
        expected = "batches with the same number of columns"
        raise invalid_argument("data", expected, sorted(columns))
    return np.concatenate(parts).astype("float32")


def empty_table() -> ValueError:
    """Returns the error for data without rows."""
    return ValueError("Cannot adapt to an empty table. Expected at least one row.")
