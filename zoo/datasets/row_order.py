"""Checks that the end of a train split can be held out."""

import numpy as np

# A class is expected in both parts if chance would leave it out of one of them less
# often than this.
CHANCE = 1e-9
FEW = 8  # so many distinct numbers are sorted by chance once in 20,000 times


def order_problem(rest: np.ndarray, held_out: np.ndarray) -> str:
    """Describes why the end of a split does not represent the rest of the split.

    Args:
        rest: Targets of the examples that remain, in their stored order.
        held_out: Targets of the examples that follow them.

    Returns:
        The end of a sentence, or `""` if the rows may be in random order.
    """
    y = np.concatenate([rest, held_out])
    y = y.reshape(len(y), -1)
    is_number = np.issubdtype(y.dtype, np.floating)
    if not is_number and _is_grouped(y):
        return "the labels are sorted"
    if y.shape[1] == 1 and _is_sorted(y[:, 0]):
        return "the targets are sorted"
    if not is_number and y.shape[1] == 1:
        return _missing_class(y[:, 0], len(held_out))
    return ""


def _is_grouped(y: np.ndarray) -> bool:
    """Returns whether equal rows are always next to each other."""
    distinct = len(np.unique(y, axis=0))
    groups = 1 + np.count_nonzero((y[1:] != y[:-1]).any(axis=1))
    return 1 < distinct == groups <= len(y) // 2


def _is_sorted(y: np.ndarray) -> bool:
    rises, falls = (y[1:] >= y[:-1]).all(), (y[1:] <= y[:-1]).all()
    return bool(rises or falls) and len(np.unique(y)) >= FEW


def _missing_class(y: np.ndarray, size: int) -> str:
    """Describes a class that only one of the two parts contains, against all odds.

    If the rows were in random order, the probability that none of the `count` examples
    of a class is among the last `size` of `len(y)` examples would be at most
    `(1 - size / len(y)) ** count`.
    """
    classes, codes, counts = np.unique(y, return_inverse=True, return_counts=True)
    among = np.bincount(codes[-size:], minlength=len(classes))
    share = size / len(y)
    never = (among == 0) & ((1 - share) ** counts < CHANCE)
    only = (among == counts) & (share**counts < CHANCE)
    for found, what in ((never, "none"), (only, "all")):
        if found.any():
            worst = int(np.argmax(np.where(found, counts, 0)))
            return (
                f"{what} of the {counts[worst]:,} examples of class "
                f"{classes[worst]} are there"
            )
    return ""
