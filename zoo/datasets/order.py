"""The order in which training examples are seen."""

import numpy as np

from ..utils.arguments import check_integer


class Order:
    """Gives every epoch its own order, as a stateless function of (seed, counter).

    The counter moves on by one whenever a dataset begins an iteration. It can be
    read, and set: with `counter = 7` the next iteration sees the examples in the
    order that belongs to 7, whatever ran before. Neither the global random seed
    nor the backend enter, so two processes with one seed see one order.

    `fit` may begin an iteration before the first epoch, to look at a batch. A
    callback that sets `counter = epoch` in `on_epoch_begin` ties every epoch to its
    order, however often training was interrupted.

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
        """Number of iterations begun, or what it was set to: names the next order."""
        return self._counter

    @counter.setter
    def counter(self, value: int):
        self._counter = check_integer("counter", value, minimum=0)

    def permutation(self, size: int, counter: int) -> np.ndarray:
        """Returns the order that belongs to `counter`; moves nothing on.

        Args:
            size: Number of examples.
            counter: Integer >= 0.

        Returns:
            An int64 array of shape `(size,)`: a permutation of `range(size)`.
        """
        return np.random.default_rng((self.seed, counter)).permutation(size)

    def next_permutation(self, size: int) -> np.ndarray:
        """Returns the order that belongs to `counter`, and moves the counter on."""
        return self.permutation(size, self._advance())

    def next_shuffle_seed(self) -> np.ndarray:
        """Returns the seed of a shuffle buffer, and moves the counter on.

        Returns:
            An int64 scalar array >= 0, a function of (`seed`, `counter`).
        """
        generator = np.random.default_rng((self.seed, self._advance()))
        return generator.integers(2**62)

    def _advance(self) -> int:
        counter = self._counter
        self._counter += 1
        return counter
