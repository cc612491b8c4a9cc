"""Which combinations of values a search has tried."""

from collections.abc import Iterator, Sequence

from keras_tuner.engine import hyperparameters as kt

from .probability import finite_values


class Tried:
    """Combinations of values, found in a time that their number does not enter.

    What a trial asked for decides: a build that gets the same answers asks the same
    questions. So values are tried if a trial has asked for some of them, and for no
    other, and they are the same.
    """

    def __init__(self):
        self._asked: dict[tuple, set] = {}
        self._whole: set[frozenset] = set()

    def add(self, values: dict) -> None:
        """Adds all the values that a trial asked for."""
        self._asked.setdefault(tuple(values), set()).add(tuple(values.values()))

    def add_whole(self, values: dict) -> None:
        """Adds values of a trial that may have asked for others, had it gone on."""
        self._whole.add(frozenset(values.items()))

    def __contains__(self, values: dict) -> bool:
        return frozenset(values.items()) in self._whole or any(
            tuple(map(values.get, names)) in tried
            for names, tried in self._asked.items()
        )


def combinations(space: Sequence[kt.HyperParameter], draw) -> Iterator[dict]:
    """Yields all combinations of values of a space, as dicts by name.

    Args:
        space: Hyperparameters; conditions come after what they name.
        draw: Function that returns one value of a hyperparameter without an end of
            values, which stands for all.
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
