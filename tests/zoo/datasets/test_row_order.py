import numpy as np
import pytest

from zoo.datasets.row_order import order_problem

pytestmark = pytest.mark.one_backend

SORTED = np.repeat(np.arange(5), 100)
SHUFFLED = np.random.default_rng(0).permutation(SORTED)


def swapped(y):
    y = y.copy()
    y[[0, 450]] = y[[450, 0]]
    return y


@pytest.mark.parametrize(
    ("y", "problem"),
    [
        (SORTED, "the labels are sorted"),
        (SORTED[::-1], "the labels are sorted"),
        (SORTED > 2, "the labels are sorted"),
        (np.eye(5, dtype=int)[SORTED], "the labels are sorted"),
        # Two sorted files, one after the other, and labels that are nearly sorted.
        (np.tile(SORTED, 2), "none of the 200 examples of class 0 are there"),
        (swapped(np.repeat([0, 1], 400)), "none of the 400 examples of class 0 are"),
        (np.append(np.arange(490) % 2, [7] * 10), "all of the 10 examples of class 7"),
        (np.sort(np.random.default_rng(0).normal(size=50)), "the targets are sorted"),
        (-np.arange(50), "the targets are sorted"),
    ],
)
def test_rows_that_cannot_be_cut(y, problem):
    size = len(y) // 10
    assert order_problem(y[:-size], y[-size:]).startswith(problem)


@pytest.mark.parametrize(
    "y",
    [
        SHUFFLED,
        SHUFFLED > 2,
        np.eye(5, dtype=int)[SHUFFLED],
        np.zeros(100, int),
        np.append([9] * 5, SHUFFLED),  # a rare class is only in the train split
        np.sin(np.arange(100.0)),
        np.arange(7.0),  # seven numbers can be sorted by chance
        np.stack([np.arange(50.0), np.sin(np.arange(50.0))], axis=1),
    ],
)
def test_rows_that_can_be_cut(y):
    size = max(1, len(y) // 10)
    assert order_problem(y[:-size], y[-size:]) == ""


@pytest.mark.parametrize("classes", [2, 10, 100])
def test_random_order_is_never_a_problem(classes):
    generator = np.random.default_rng(0)
    for _ in range(200):
        y = generator.integers(classes, size=300)
        assert order_problem(y[:-30], y[-30:]) == ""
