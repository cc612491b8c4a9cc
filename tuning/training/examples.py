"""In-memory examples, stored as arrays in any structure."""

from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Examples:
    """Stores examples of any structure in memory.

    The interface is the same as that of `zoo.datasets.Arrays`.

    Args:
        data: Tuple `(x, y)` or `(x, y, sample_weight)`. Each element is an array or a
            structure of arrays, such as a dict.
    """

    data: tuple

    @property
    def y(self):
        """The targets."""
        return self.data[1]

    def __len__(self) -> int:
        return len(keras.tree.flatten(self.data)[0])

    def batch(self, rows) -> tuple:
        """Returns the examples selected by a slice or an array of indices."""
        return keras.tree.map_structure(lambda array: array[rows], self.data)
