"""A class that records the range of inputs and labels for a later check."""

import keras
import numpy as np
from keras import ops

from ...utils.arguments import invalid_argument
from ..classifier.data_checks import check_range
from ..classifier.float_inputs import as_floats, only
from ..classifier.head import Head
from .seen_labels import SeenLabels


class SeenData:
    """Records the minimum and maximum of inputs and labels for a later check.

    The values are recorded on the device. The check is performed outside the compiled
    step, because the step itself cannot raise an error that depends on the data.

    Args:
        lowest: Float variable for the minimum of the inputs.
        highest: Float variable for the maximum of the inputs.

    Attributes:
        labels: Metric that records the minimum and maximum of the labels.
    """

    def __init__(self, lowest: keras.Variable, highest: keras.Variable):
        self._lowest, self._highest = lowest, highest
        self.labels = SeenLabels()

    def clear(self) -> None:
        """Resets the recorded values."""
        self._lowest.assign(np.inf)
        self._highest.assign(-np.inf)
        self.labels.clear()

    def record(self, x, y, num_outputs: int) -> tuple:
        """Records a batch, and returns its inputs as floats and its labels as classes.

        Args:
            x: Tensor of inputs, or a dict or list that contains one tensor.
            y: Tensor of labels, either of shape `(batch,)` or `(batch, 1)`, or one-hot
                encoded.
            num_outputs: Number of outputs of the model per example.
        """
        x = only(x)
        x = as_floats(x, x)
        lowest, highest = (ops.cast(f(x), "float32") for f in (ops.min, ops.max))
        self._lowest.assign(ops.minimum(self._lowest, lowest))
        self._highest.assign(ops.maximum(self._highest, highest))
        shape = tuple(y.shape)
        is_one_hot = len(shape) == 2 and shape[1] == num_outputs and num_outputs > 1
        if len(shape) == 2 and shape[1] == 1:
            y = ops.squeeze(y, axis=1)
        elif len(shape) != 1 and not is_one_hot:
            expected = f"classes of shape (batch,) or (batch, {num_outputs})"
            raise invalid_argument("y", expected, shape)
        self.labels.update_state(y)
        if is_one_hot:
            return x, ops.argmax(ops.cast(y, "float32"), axis=1)
        if num_outputs == 1:
            return x, ops.cast(y > 0, "int32")
        # Invalid labels must not cause an index error here; `check` reports them.
        return x, ops.clip(ops.cast(y, "int32"), 0, num_outputs - 1)

    def check(self, bounds: tuple[float, float], head: Head) -> None:
        """Raises an error if a recorded input or label is invalid.

        Args:
            bounds: Minimum and maximum allowed input values.
            head: The head of the model.
        """
        low, high = (
            float(ops.convert_to_numpy(v)) for v in (self._lowest, self._highest)
        )
        check_range(low, high, bounds)
        self.labels.check(head)
