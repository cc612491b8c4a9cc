"""A metric that records the minimum and maximum of labels for a later check."""

import keras
from keras import ops

from ..classifier.data_checks import check_classes
from ..classifier.expected_outputs import MARGINS
from ..classifier.head import Head

NONE = -1e30  # initial value, lower than any value computed from labels


class SeenLabels(keras.metrics.Metric):
    """Records the minimum and maximum label, which are checked after the step.

    This is a metric because every backend passes the state of metrics through the
    training step, and Keras does not save this state. The metric adds nothing to the
    logs. `reset_state` does nothing, because Keras calls it before a callback can read
    the values. Call `clear` to reset the metric.
    """

    def __init__(self, name: str = "seen_labels"):
        super().__init__(name=name)
        self._extremes = self.add_variable(
            shape=(5,),
            initializer=keras.initializers.Constant(NONE),
            dtype="float32",
            aggregation="only_first_replica",
            name="extremes",
        )

    def update_state(self, y):
        """Updates the recorded values with a batch of classes or one-hot rows.

        Args:
            y: Tensor of shape `(batch,)` or `(batch, classes)`.
        """
        y = ops.cast(y, "float32")
        is_whole = ops.isfinite(y) & (y == ops.round(y))
        sums = ops.sum(y, axis=1) - 1 if len(y.shape) == 2 else ops.zeros_like(y)
        extremes = (
            -ops.min(y),  # TensorFlow 2.21 may miscompile the maximum of -y
            ops.max(y),
            ops.max(ops.cast(~is_whole, "float32")),
            ops.max(sums),
            -ops.min(sums),
        )
        found = ops.stack(extremes)
        self._extremes.assign(ops.maximum(self._extremes, found))

    def result(self) -> dict:
        return {}

    def reset_state(self) -> None:
        """Does nothing; use `clear` to reset the recorded values."""

    def clear(self) -> None:
        """Resets the recorded values."""
        self._extremes.assign(ops.full((5,), NONE))

    def check(self, head: Head) -> None:
        """Raises an error if a recorded label is not a valid class."""
        lowest, highest, broken, *sums = (
            float(value) for value in ops.convert_to_numpy(self._extremes)
        )
        if broken == NONE:  # no batch was recorded
            return
        classes = head.num_classes
        check_classes(
            (-lowest, highest),
            (-1 if head.expected == MARGINS else 0, classes - 1),
            is_whole=broken <= 0,
            is_one_hot=max(sums) <= 0,
            expected=f"classes from 0 to {classes - 1}, or one-hot rows",
        )
