"""Examples of any structure, in memory."""

from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Examples:
    """Holds examples of any structure, with the interface of `Arrays`.

    Args:
        data: `(x, y)` or `(x, y, sample_weight)`, each an array or a structure of
            arrays, such as a dict.
    """

    data: tuple

    @property
    def y(self):
        """The targets."""
        return self.data[1]

    def __len__(self) -> int:
        return len(keras.tree.flatten(self.data)[0])

    def batch(self, rows) -> tuple:
        """Returns the examples of some rows, given as a slice or an index array."""
        return keras.tree.map_structure(lambda array: array[rows], self.data)
