"""Runs a forward pass of a sample, and computes statistics of every layer."""

import itertools
import operator
from collections.abc import Iterator

import keras
import numpy as np

from zoo.backend import COMPILES
from zoo.differentiation import compile_function

from .layer_outputs import MAX_ENTRIES, LayerOutputs, TooManyOutputs
from .layer_statistics import Answers, answers_of, ends_of, measure, units_of


class ForwardPass:
    """Passes a sample through a model, and computes statistics of every layer.

    If the outputs for the whole sample need too much memory, the sample is split into
    parts. All parts are then passed twice: first to find the range of the bins, then
    to count.

    Args:
        model: Built model.

    Attributes:
        unseen: Names of the layers that cannot be recorded. Set by the first pass.
    """

    def __init__(self, model: keras.Model):
        self.unseen: list[str] = []
        self._model = model
        self._layers: dict[str, keras.layers.Layer] = {}
        self._examples: int | None = None  # maximum number of examples in a part
        self._entries = 0  # number of entries of all outputs, in the last traced call
        self._outputs = compile_function(self._watch, model.variables)

    def __call__(self, sample) -> list[Answers]:
        if self._examples is None and not COMPILES and _takes_any_size(self._model):
            # Without tracing, counting the entries of the whole sample would require
            # a full pass.
            self._outputs(_slice(sample, 0, 1))
            self._examples = max(1, MAX_ENTRIES // max(1, self._entries))
        while True:
            try:
                return self._pass(_parts_of(sample, self._examples))
            except TooManyOutputs:
                continue  # with smaller parts

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
        """Yields the name and the unit matrix of each output for a part."""
        found = self._outputs(part)
        for name, layer in self._layers.items():
            if name in found:
                yield name, units_of(layer, *map(_to_numpy, found.pop(name)))

    def _watch(self, part):
        outputs = LayerOutputs(self._model)
        found = outputs.of(part)
        self.unseen = outputs.unseen
        self._entries = outputs.entries
        examples = _size_of(part)
        if outputs.entries > MAX_ENTRIES and examples > 1:
            fitting = examples * MAX_ENTRIES // outputs.entries
            self._examples = max(1, fitting)
            raise TooManyOutputs
        self._layers |= outputs.layers
        return found


def _parts_of(sample, examples: int | None) -> list:
    """Splits a sample into parts of nearly equal size, since each size is compiled."""
    size = _size_of(sample)
    if examples is None or examples >= size:
        return [sample]
    number = -(-size // examples)
    number = next((n for n in range(number, 2 * number) if size % n == 0), number)
    bounds = np.linspace(0, size, number + 1).round().astype(int)
    return [_slice(sample, start, stop) for start, stop in itertools.pairwise(bounds)]


def _slice(sample, start: int, stop: int):
    return keras.tree.map_structure(operator.itemgetter(slice(start, stop)), sample)


def _takes_any_size(model: keras.Model) -> bool:
    return all(each.shape[0] is None for each in getattr(model, "inputs", None) or ())


def _size_of(sample) -> int:
    return keras.tree.flatten(sample)[0].shape[0]


def _to_numpy(tensor):
    return None if tensor is None else keras.ops.convert_to_numpy(tensor)
