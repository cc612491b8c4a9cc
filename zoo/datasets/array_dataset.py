"""A dataset that passes arrays to `fit` in batches, on any backend."""

from collections.abc import Iterator

import keras
import numpy as np

from ..utils.arguments import check_integer
from .arrays import Arrays
from .order import Order


class ArrayDataset(keras.utils.PyDataset):
    """Batches arrays for `fit`, `evaluate` and `predict` without using TensorFlow.

    Args:
        arrays: `Arrays` that contain the examples.
        batch_size: Integer >= 1. The last batch is smaller if the number of examples
            is not a multiple of `batch_size`.
        order: `Order` that reshuffles the examples in every iteration. Defaults to
            `None`: the examples stay in their stored order.

    Example:

    >>> import numpy as np
    >>> from zoo.datasets import ArrayDataset, Arrays
    >>> arrays = Arrays(np.arange(6.0), np.arange(6))
    >>> [y.tolist() for x, y in ArrayDataset(arrays, batch_size=4)]
    [[0, 1, 2, 3], [4, 5]]
    """

    def __init__(self, arrays: Arrays, batch_size: int, order: Order | None = None):
        super().__init__()
        self.arrays = arrays
        self.batch_size = check_integer("batch_size", batch_size, minimum=1)
        self.order = order
        self._rows: np.ndarray | None = None
        self._order_is_due = False

    def __len__(self) -> int:
        return -(-len(self.arrays) // self.batch_size)

    def __getitem__(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        batch = slice(index * self.batch_size, (index + 1) * self.batch_size)
        if self.order is None:
            # Copies, because TensorFlow 2.21 may write into the arrays that it is
            # given: under `MirroredStrategy`, layers such as `Normalization` do.
            x, y = self.arrays.batch(batch)
            return x.copy(), y.copy()
        if self._rows is None:  # a batch is requested before the first epoch
            self._rows = self.order.permutation(len(self.arrays), self.order.counter)
        # The order must not change in `on_epoch_begin`: with `steps_per_epoch`, one
        # pass over the examples may span several epochs.
        if self._order_is_due and index == 0:
            self._rows = self.order.next_permutation(len(self.arrays))
            self._order_is_due = False
        return self.arrays.batch(self._rows[batch])

    def __iter__(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        self.on_epoch_begin()
        return super().__iter__()

    def on_epoch_begin(self) -> None:
        self._order_is_due = True

    def rebatch(self, batch_size: int) -> "ArrayDataset":
        """Returns a dataset with the same arrays and `Order`, but a new batch size.

        Args:
            batch_size: Integer >= 1.
        """
        return ArrayDataset(self.arrays, batch_size, self.order)
