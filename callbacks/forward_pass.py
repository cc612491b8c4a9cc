"""The forward pass of a sample, and what every layer gives in it."""

import itertools
import operator
from collections.abc import Iterator

import keras
import numpy as np

from zoo.differentiation import compile_function

from .layer_outputs import MAX_ENTRIES, LayerOutputs, TooManyOutputs
from .layer_statistics import Answers, answers_of, ends_of, measure, units_of


class ForwardPass:
    """Passes a sample through a model, and measures what every layer gives.

    A sample for which the outputs would take too much memory passes in parts, twice:
    the ends of the bins are those of all parts.

    Args:
        model: Built model.

    Attributes:
        unseen: Names of the layers that cannot be measured, known after a pass.
    """

    def __init__(self, model: keras.Model):
        self.unseen: list[str] = []
        self._model = model
        self._layers: dict[str, keras.layers.Layer] = {}
        self._examples = None  # at most, in a part
        self._outputs = compile_function(self._watch, model.variables)

    def __call__(self, sample) -> list[Answers]:
        while True:
            try:
                return self._pass(_parts_of(sample, self._examples))
            except TooManyOutputs:
                continue  # in smaller parts

    def _pass(self, parts) -> list[Answers]:
        ends: dict[str, list] = {}
        measured: dict[str, list] = {}
        if len(parts) > 1:
            for part in parts:
                for name, units in self._units(part):
                    ends.setdefault(name, []).append(ends_of(units))
        for part in parts:
            for name, units in self._units(part):
                figures = measure(self._layers[name], units, ends.get(name))
                measured.setdefault(name, []).append(figures)
        return [
            answers_of(name, self._layers[name], found)
            for name, found in measured.items()
        ]

    def _units(self, part) -> Iterator[tuple[str, np.ndarray]]:
        """Yields what each layer gives for a part, in the order of the layers."""
        found = self._outputs(part)
        for name, layer in self._layers.items():
            if name in found:
                yield name, units_of(layer, *map(_to_numpy, found.pop(name)))

    def _watch(self, part):
        outputs = LayerOutputs(self._model)
        found = outputs.of(part)
        self.unseen = outputs.unseen
        examples = _size_of(part)
        if outputs.entries > MAX_ENTRIES and examples > 1:
            fitting = examples * MAX_ENTRIES // outputs.entries
            self._examples = max(1, fitting)
            raise TooManyOutputs
        self._layers |= outputs.layers
        return found


def _parts_of(sample, examples: int | None) -> list:
    """Splits a sample in parts as equal as possible, since each size is compiled."""
    size = _size_of(sample)
    if examples is None or examples >= size:
        return [sample]
    number = -(-size // examples)
    number = next((n for n in range(number, 2 * number) if size % n == 0), number)
    bounds = np.linspace(0, size, number + 1).round().astype(int)
    return [
        keras.tree.map_structure(operator.itemgetter(slice(start, stop)), sample)
        for start, stop in itertools.pairwise(bounds)
    ]


def _size_of(sample) -> int:
    return keras.tree.flatten(sample)[0].shape[0]


def _to_numpy(tensor):
    return None if tensor is None else keras.ops.convert_to_numpy(tensor)
