"""The order of the training examples in each epoch."""

import numpy as np

from ..utils.arguments import check_integer


class Order:
    """Determines the order of the examples in each epoch from a seed and a counter.

    The counter can be read and set, and increases by one whenever an iteration over the
    dataset begins. If you set `counter = 7`, the next iteration uses permutation 7,
    regardless of previous iterations. The order depends on neither the global random
    seed nor the backend, so two processes with the same seed use the same orders.

    `fit` may begin an extra iteration before the first epoch to inspect a batch, which
    also advances the counter. To give each epoch a fixed order, no matter how often
    training is interrupted, use a callback that sets `counter = epoch` in
    `on_epoch_begin`.

    Args:
        seed: Integer >= 0.

    Raises:
        ValueError: If `seed` is not an integer >= 0.

    Example:

    >>> from zoo.datasets import Order
    >>> order = Order(seed=0)
    >>> order.next_permutation(5).tolist(), order.next_permutation(5).tolist()
    ([2, 4, 3, 0, 1], [1, 4, 3, 0, 2])
    >>> order.counter
    2
    >>> order.counter = 0
    >>> order.next_permutation(5).tolist()
    [2, 4, 3, 0, 1]
    """

    def __init__(self, seed: int):
        self.seed = check_integer("seed", seed, minimum=0)
        self._counter = 0

    @property
    def counter(self) -> int:
        """Index of the next order, which increases by one when an iteration begins."""
        return self._counter

    @counter.setter
    def counter(self, value: int):
        self._counter = check_integer("counter", value, minimum=0)

    def permutation(self, size: int, counter: int) -> np.ndarray:
        """Returns the order for a given counter without advancing `self.counter`.

        Args:
            size: Number of examples.
            counter: Integer >= 0.

        Returns:
            An int64 array of shape `(size,)`: a permutation of `range(size)`.
        """
        return np.random.default_rng((self.seed, counter)).permutation(size)

    def next_permutation(self, size: int) -> np.ndarray:
        """Returns the order for the current counter and advances the counter."""
        return self.permutation(size, self._advance())

    def next_shuffle_seed(self) -> np.ndarray:
        """Returns a seed for a shuffle buffer and advances the counter.

        Returns:
            An int64 scalar >= 0 that depends only on `seed` and `counter`.
        """
        generator = np.random.default_rng((self.seed, self._advance()))
        return generator.integers(2**62)

    def _advance(self) -> int:
        counter = self._counter
        self._counter += 1
        return counter
