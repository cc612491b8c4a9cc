"""Conversion and checks of the inputs and labels of a classifier."""

import keras
import numpy as np

from ...utils.arguments import invalid_argument
from .float_inputs import only
from .head import Head


def as_arrays(data) -> tuple[np.ndarray, np.ndarray]:
    """Returns inputs and labels, given one pair of arrays or an iterable of pairs."""
    if isinstance(data, tuple) and len(data) == 2:
        return tuple(keras.ops.convert_to_numpy(only(array)) for array in data)
    try:
        if hasattr(data, "shape"):
            raise TypeError("The labels are missing. Pass `(x, y)` as one argument.")
        pairs = [batch[:2] for batch in data]
        x, y = (
            np.concatenate([keras.ops.convert_to_numpy(only(one)) for one in batches])
            for batches in zip(*pairs, strict=True)
        )
    except (TypeError, ValueError) as error:
        expected = "arrays (x, y), or an iterable of batches (x, y)"
        raise invalid_argument("data", expected, data, f"{error}") from None
    return x, y


def check_inputs(x, bounds: tuple[float, float], shape=None) -> np.ndarray:
    """Returns the inputs as float32, or raises an error if they are invalid.

    Inputs must be finite and within the bounds. Values that exceed the bounds only
    because of rounding are clipped.

    Args:
        x: Array of shape `(examples, ...)`.
        bounds: Minimum and maximum allowed input values.
        shape: Shape of an example, with `None` for dimensions of variable size.
            Defaults to `None`: any shape.
    """
    x = np.asarray(keras.ops.convert_to_numpy(x))
    if x.dtype == bool:
        x = x.astype("float32")
    if x.ndim < 2 or not len(x) or not np.issubdtype(x.dtype, np.number):
        expected = "numbers of shape (examples, ...), with at least one example"
        raise invalid_argument("x", expected, f"{x.dtype} of shape {x.shape}")
    if shape is not None and not _fits(x.shape[1:], shape):
        expected = f"examples of shape {tuple(shape)}, the input shape of the model"
        raise invalid_argument("x", expected, x.shape)
    finite = np.isfinite(x).reshape(len(x), -1).all(axis=1)
    if not finite.all():
        row = int(np.argmin(finite))
        raise invalid_argument("x", "finite numbers", f"NaN or infinity in row {row}")
    check_range(float(x.min()), float(x.max()), bounds)
    return np.clip(x.astype("float32"), *np.float32(bounds))


def check_range(low: float, high: float, bounds: tuple[float, float]) -> None:
    """Raises an error if inputs are not finite or not within the bounds.

    Args:
        low: Minimum of the inputs.
        high: Maximum of the inputs.
        bounds: Minimum and maximum allowed input values.
    """
    if np.isnan(low) or np.isnan(high):
        raise invalid_argument("x", "finite numbers", "NaN")
    slack = 1e-6 * (bounds[1] - bounds[0])
    if low < bounds[0] - slack or high > bounds[1] + slack:
        raise invalid_argument(
            "x",
            f"values within the attack's bounds={tuple(bounds)}",
            f"values from {low:.6g} to {high:.6g}",
            "Pass the range of your inputs as `bounds=`, and epsilon in their units.",
        )


def are_signed(y: np.ndarray) -> bool:
    """Returns whether labels are -1 and 1, as expected by a hinge loss.

    If all labels are 1, the result is `False`, because 1 is also a valid class.
    """
    if not len(y) or not np.issubdtype(y.dtype, np.number):
        return False
    return bool(np.isin(y, (-1, 1)).all() and (y == -1).any())


def check_labels(y, size: int, head: Head) -> np.ndarray:
    """Returns labels as int32 classes, or raises an error if they are invalid.

    Args:
        y: Labels: integers, booleans or whole-number floats of shape `(examples,)` or
            `(examples, 1)`, or one-hot rows. If the model has a single output, labels
            may also be -1 and 1, unless the loss is known to expect logits,
            probabilities or rates.
        size: Number of examples.
        head: The head of the model.

    Returns:
        An int32 array of shape `(examples,)`.
    """
    y = np.asarray(keras.ops.convert_to_numpy(y))
    num_classes = head.num_classes
    expected = (
        f"{size} classes from 0 to {num_classes - 1}, of shape ({size},), or one-hot "
        f"of shape ({size}, {num_classes})"
    )
    labels, is_one_hot = y, True
    if y.shape == (size, num_classes) and num_classes > 1:
        labels = y.argmax(axis=1)
        is_one_hot = np.array_equal(np.eye(num_classes)[labels], y)
    elif y.shape == (size, 1):
        labels = y[:, 0]
    if labels.dtype == bool:
        labels = labels.astype("int32")
    if labels.shape != (size,) or not np.issubdtype(labels.dtype, np.number):
        raise invalid_argument("y", expected, f"{y.dtype} of shape {y.shape}")
    is_whole = np.array_equal(labels, np.rint(labels))
    if head.takes_signed_labels and are_signed(labels):
        labels = (labels > 0).astype("int32")
    extremes = labels.min(), labels.max()
    check_classes(extremes, (0, num_classes - 1), is_whole, is_one_hot, expected)
    return labels.astype("int32")


def check_classes(
    extremes: tuple[float, float],
    limits: tuple[int, int],
    is_whole: bool,
    is_one_hot: bool,
    expected: str,
) -> None:
    """Raises an error if labels are not valid classes.

    Args:
        extremes: The lowest and highest labels.
        limits: The lowest and highest valid labels.
        is_whole: Whether all labels are whole numbers.
        is_one_hot: `False` if the labels are rows and any row is not one-hot. `True`
            otherwise, also for integer labels.
        expected: Description of valid labels for the error message.
    """
    if not is_whole:
        raise invalid_argument("y", expected, "numbers that are not whole")
    if extremes[0] < limits[0] or extremes[1] > limits[1]:
        received = f"labels from {extremes[0]:.6g} to {extremes[1]:.6g}"
        raise invalid_argument("y", expected, received)
    if not is_one_hot:
        fix = (
            "Every row of one-hot labels has a single 1 and is 0 elsewhere. Multi-label"
            " and soft labels are not supported."
        )
        raise invalid_argument("y", expected, "rows that are not one-hot", fix)


def _fits(shape, expected) -> bool:
    return len(shape) == len(expected) and all(
        b is None or a == b for a, b in zip(shape, expected, strict=True)
    )
