"""Batch slots that are refilled with waiting examples during an attack."""

from collections import deque

import numpy as np
from keras import ops

from .attack_algorithm import AttackAlgorithm
from .search import begin_search


class BatchSlots:
    """Keeps the batches of an attack filled with examples.

    When the search for an example ends, a waiting example takes over the slot. The
    running time of an attack therefore depends on the total number of steps, not on the
    slowest example in each batch. An example that withstands one restart is queued
    again for the next restart. All batches have the same shape, to avoid recompilation.

    Args:
        attack: The attack.
        x: Float32 array of all inputs.
        y: Int32 array of the labels of these inputs.
        rows: Indices of the examples to attack.
        size: Number of slots.

    Attributes:
        rows: Integer array: index of the example in each slot, or -1 if the slot
            is free.
        is_fresh: Bool array: whether a new search begins in each slot.
    """

    def __init__(
        self,
        attack: AttackAlgorithm,
        x: np.ndarray,
        y: np.ndarray,
        rows: np.ndarray,
        size: int,
    ):
        self._attack, self._x, self._y = attack, x, y
        self._waiting = deque((row, 0) for row in rows)
        self.rows = np.full(size, -1)
        self.is_fresh = np.ones(size, bool)
        self._restarts = np.zeros(size, "int32")
        first = np.zeros(1, "int64")
        self._noise = np.repeat(attack.noise(x.shape[1:], first, first), size, axis=0)

    def fill(self) -> bool:
        """Assigns waiting examples to free slots; returns whether any slot is used."""
        free = np.flatnonzero(self.rows < 0)[: len(self._waiting)]
        if len(free):
            examples = [self._waiting.popleft() for _ in free]
            self.rows[free], self._restarts[free] = np.transpose(examples)
            self.is_fresh[free] = True
            self._noise[free] = self._attack.noise(
                self._x.shape[1:], self._restarts[free], self.rows[free]
            )
        return bool((self.rows >= 0).any())

    def empty_state(self, settings: dict) -> dict:
        """Returns a placeholder state for a batch in which no search has begun.

        Each new search overwrites the entries of its slot.
        """
        x, noise = (ops.convert_to_tensor(a) for a in (self._x[self.rows], self._noise))
        active = ops.convert_to_tensor(self.rows >= 0)
        return begin_search(self._attack, x, active, noise, settings)

    def arguments(self) -> tuple:
        """Returns the arrays that a compiled search takes as arguments.

        Returns:
            A tuple:

            - the inputs, the labels, the restart indices and the noise of the slots;
            - whether each slot is in use;
            - whether a new search begins in each slot;
            - 1 if more examples are waiting, otherwise 0.
        """
        return (
            self._x[self.rows],
            self._y[self.rows],
            self._restarts,
            self._noise,
            self.rows >= 0,
            self.is_fresh,
            np.int32(len(self._waiting) > 0),
        )

    def leave(self, is_going: np.ndarray, is_successful: np.ndarray) -> tuple:
        """Frees the slots whose searches have ended.

        Args:
            is_going: Bool array: whether the search in each slot continues.
            is_successful: Bool array: whether the search in each slot succeeded.

        Returns:
            A tuple:

            - the indices of the freed slots;
            - the indices of the examples in these slots;
            - the number of restarts that each of these searches completes: 1, or all
              remaining restarts of the example if the search succeeded.
        """
        done = np.flatnonzero((self.rows >= 0) & ~is_going)
        rows, restarts = self.rows[done], self._restarts[done]
        last = self._attack.restarts - 1
        again = ~is_successful[done] & (restarts < last)
        self._waiting.extend(zip(rows[again], restarts[again] + 1, strict=True))
        self.rows[done] = -1
        self.is_fresh[:] = False
        return done, rows, np.where(again, 1, last + 1 - restarts)
