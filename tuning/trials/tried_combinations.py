"""Combinations of values that a search has tried."""

from collections.abc import Callable, Iterator, Sequence
from itertools import islice

from keras_tuner.engine.hyperparameters import HyperParameter

from ..hyperparameters.probability import finite_values

MAX_COMBINATIONS = 100_000  # maximum number of combinations to list


class TriedCombinations:
    """Stores tried combinations of values for fast lookup.

    The lookup time does not grow with the number of combinations. A combination counts
    as tried if it matches an earlier trial in all values that were read during that
    trial. This is sufficient, because `build` reads the same names if it receives the
    same values.
    """

    def __init__(self):
        self._asked: dict[tuple, set] = {}
        self._whole: set[frozenset] = set()

    def add(self, values: dict) -> None:
        """Adds the hyperparameter values that `build` read during a finished trial."""
        self._asked.setdefault(tuple(values), set()).add(tuple(values.values()))

    def add_whole(self, values: dict) -> None:
        """Adds all values of a failed or unfinished trial, including unread values."""
        self._whole.add(frozenset(values.items()))

    def untried(
        self, space: Sequence[HyperParameter], draw: Callable
    ) -> tuple[bool, list[dict]]:
        """Lists combinations of values that have not been tried.

        Args:
            space: See `combinations`.
            draw: See `combinations`.

        Returns:
            Whether all combinations of the space were checked, and a list of the
            untried combinations.
        """
        every = combinations(space, draw)
        left = [
            values for values in islice(every, MAX_COMBINATIONS) if values not in self
        ]
        return next(every, None) is None, left

    def __contains__(self, values: dict) -> bool:
        return frozenset(values.items()) in self._whole or any(
            tuple(map(values.get, names)) in tried
            for names, tried in self._asked.items()
        )


def combinations(space: Sequence[HyperParameter], draw: Callable) -> Iterator[dict]:
    """Yields all combinations of values in a space, as dicts from names to values.

    Args:
        space: Hyperparameters. Each hyperparameter must come after the hyperparameters
            on which its conditions depend.
        draw: Function that is called for a hyperparameter with infinitely many values.
            It returns one value, which represents all of them.
    """

    def extend(values: dict, start: int) -> Iterator[dict]:
        for index in range(start, len(space)):
            hp = space[index]
            if hp.name in values or not all(c.is_active(values) for c in hp.conditions):
                continue
            own = finite_values(hp)
            for value in [draw(hp)] if own is None else own:
                yield from extend({**values, hp.name: value}, index + 1)
            return
        yield values

    return extend({}, 0)
