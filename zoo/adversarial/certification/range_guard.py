"""What sees that the inputs of a certified training are within its bounds."""

import keras
import numpy as np

from ...arguments import invalid_argument


class RangeGuard(keras.callbacks.Callback):
    """Raises after the first batch, or the first epoch, with inputs out of bounds.

    Args:
        bounds: The lowest and the highest value that inputs may have.
    """

    def __init__(self, bounds: tuple[float, float]):
        super().__init__()
        self.bounds = bounds

    def on_train_begin(self, logs=None):
        self._looked = False

    def on_train_batch_end(self, batch, logs=None):
        if not self._looked:
            self._looked = True
            self._check()

    def on_epoch_end(self, epoch, logs=None):
        self._check()

    def _check(self):
        low, high = (
            float(keras.ops.convert_to_numpy(value)) for value in self.model.input_range
        )
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
