"""Computes statistics of one quantity: the gradients, the weights or the updates."""

import numpy as np
from keras import ops

from zoo.backend import tensor_statistics
from zoo.backend.tensor_statistics import NUM_BINS


class Quantity:
    """Computes statistics of one tensor per recorded variable.

    Args:
        tensors: List of tensors; `None` for a variable without a tensor.
        indices: Index of each tensor's variable among the recorded variables.
        num_variables: Number of recorded variables.
        minus: List of tensors to subtract from `tensors`. Defaults to `None`.
    """

    def __init__(self, tensors: list, indices: list, num_variables: int, minus=None):
        present = [i for i, tensor in enumerate(tensors) if tensor is not None]
        # Variables without a tensor get the index after the last tensor.
        self._source = np.full(num_variables, len(present))
        self._source[[indices[i] for i in present]] = np.arange(len(present))
        self._operands = None
        if present:
            tensors = [tensors[i] for i in present]
            minus = None if minus is None else [minus[i] for i in present]
            self._operands = tensor_statistics.operands(tensors, minus)

    def norms(self):
        """Returns the norm of each tensor; NaN for a missing tensor."""
        return self._of_all(tensor_statistics.norms)

    def largest(self):
        """Returns the largest magnitude in each tensor; NaN for a missing tensor."""
        return self._of_all(tensor_statistics.largest)

    def counts(self):
        """Returns entry counts by sign and exponent; 0 for a missing tensor.

        The shape is `(variables, NUM_BINS)`.
        """
        return self._of_all(tensor_statistics.count_exponents, shape=(NUM_BINS,))

    def _of_all(self, statistic, shape: tuple = ()):
        """Computes a statistic of the given shape for every variable."""
        if self._operands is None:
            size = len(self._source)
            if shape:
                return ops.zeros((size, *shape), "int32")
            return ops.full((size,), float("nan"), "float32")
        values = statistic(self._operands)
        if np.array_equal(self._source, np.arange(values.shape[0])):
            return values
        missing = np.zeros((1, *shape)) if shape else np.full(1, np.nan)
        missing = ops.convert_to_tensor(missing, dtype=values.dtype)
        return ops.take(ops.concatenate([values, missing]), self._source, axis=0)
