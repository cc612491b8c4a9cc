"""Which inputs and labels were met inside compiled steps, where none can be refused."""

import keras
import numpy as np
from keras import ops

from ..arguments import invalid_argument
from .attack import as_floats
from .head import Head
from .model_call import only
from .seen_labels import SeenLabels


class SeenData:
    """Keeps the extremes of inputs and labels, and judges them when asked.

    Args:
        trainer: Model whose state the extremes of the inputs become.
        bounds: The lowest and the highest value that inputs may have.

    Attributes:
        labels: Metric that keeps the extremes of the labels; the trainer lists it.
    """

    def __init__(self, trainer: keras.Model, bounds: tuple[float, float]):
        self.bounds = bounds
        self.labels = SeenLabels()
        self._range = [
            add_state(trainer, name, keras.initializers.Constant(value))
            for name, value in (("lowest", np.inf), ("highest", -np.inf))
        ]

    def add(self, x, y, num_outputs: int) -> tuple:
        """Adds a batch, and returns it as floats and int32 classes.

        Args:
            x: Inputs of shape `(batch, ...)`, or a dict or list of them alone.
            y: Labels of shape `(batch,)`, `(batch, 1)`, or one-hot.
            num_outputs: Outputs of the classifier for an example.
        """
        x = as_floats(only(x), only(x))
        lowest, highest = self._range
        lowest.assign(ops.minimum(lowest, ops.cast(ops.min(x), "float32")))
        highest.assign(ops.maximum(highest, ops.cast(ops.max(x), "float32")))
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
        return x, ops.cast(y, "int32")

    def clear(self) -> None:
        """Forgets everything."""
        for value, start in zip(self._range, (np.inf, -np.inf), strict=True):
            value.assign(start)
        self.labels.clear()

    def check(self, head: Head) -> None:
        """Raises if inputs were not within the bounds, or labels are no classes."""
        low, high = (float(ops.convert_to_numpy(value)) for value in self._range)
        slack = 1e-6 * (self.bounds[1] - self.bounds[0])
        if np.isnan(low) or np.isnan(high):
            raise invalid_argument("x", "finite numbers", "NaN")
        if low < self.bounds[0] - slack or high > self.bounds[1] + slack:
            raise invalid_argument(
                "x",
                f"values within bounds={self.bounds}",
                f"values from {low:.6g} to {high:.6g}",
                "Pass the range of your inputs as `bounds=`, and epsilon in their "
                "units.",
            )
        self.labels.check(head)


class DataGuard(keras.callbacks.Callback):
    """Refuses what was seen after the first batch, and after every epoch."""

    def on_train_begin(self, logs=None):
        self._looked = False

    def on_train_batch_end(self, batch, logs=None):
        if not self._looked:
            self._looked = True
            self.model.check_seen()

    def on_epoch_end(self, epoch, logs=None):
        self.model.check_seen()


def add_state(trainer: keras.Model, name: str, initializer):
    """Returns a new scalar that a trainer keeps, and does not train."""
    return trainer.add_weight(
        (),
        initializer=initializer,
        trainable=False,
        dtype="float32",
        aggregation="only_first_replica",
        name=name,
    )
