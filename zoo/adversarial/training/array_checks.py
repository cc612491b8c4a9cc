"""A function that checks NumPy arrays before training or evaluation."""

import keras
import numpy as np

from ...utils.arguments import invalid_argument
from ..classifier.data_checks import are_signed, check_inputs, check_labels
from ..classifier.expected_outputs import MARGINS
from ..classifier.float_inputs import only
from ..classifier.head import Head


def check_arrays(x, y, bounds: tuple[float, float], head: Head) -> None:
    """Raises an error if NumPy inputs or their labels are invalid.

    Data of other types are not checked here.

    Args:
        x: Argument `x` of `fit` or `evaluate`.
        y: Argument `y` of `fit` or `evaluate`.
        bounds: Minimum and maximum allowed input values.
        head: The head of the model.
    """
    x, y = only(x), only(y)
    if not isinstance(x, np.ndarray) or y is None:
        return
    x = check_inputs(x, bounds)
    y = np.asarray(keras.ops.convert_to_numpy(y))
    if are_signed(y) and head.expected != MARGINS:
        expected = "labels 0 and 1, unless the loss is a hinge loss"
        raise invalid_argument("y", expected, "-1 and 1", "Pass `(y + 1) / 2`.")
    check_labels(y, len(x), head)
