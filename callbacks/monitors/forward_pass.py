"""Runs a forward pass on a sample, and computes statistics of every layer."""

from collections.abc import Iterator

import keras
import numpy as np

from zoo.backend import COMPILES
from zoo.differentiation import compile_function

from .input_sample import examples, size_of, split
from .layer_outputs import MAX_ENTRIES, LayerOutputs, TooManyOutputs
from .layer_statistics import LayerStatistics, combine, measure, range_of, units_of


class ForwardPass:
    """Passes a sample through a model, and computes statistics of every layer.

    If the outputs for the whole sample require too much memory, the sample is split
    into batches. Each batch then passes through the model twice: first to determine the
    range of the bins, then to count the entries in the bins.

    Args:
        model: Built model.

    Attributes:
        unseen: Names of the layers that cannot be recorded; set by the first pass.
    """

    def __init__(self, model: keras.Model):
        self.unseen: list[str] = []
        self._model = model
        self._layers: dict[str, keras.layers.Layer] = {}
        self._batch_size: int | None = None  # maximum; `None` for the whole sample
        self._entries = 0  # number of entries of all outputs, in the last traced call
        self._outputs = compile_function(self._capture, model.variables)

    def __call__(self, sample) -> list[LayerStatistics]:
        if self._batch_size is None and not COMPILES and _takes_any_size(self._model):
            # Without tracing, counting the entries of the whole sample would require a
            # forward pass of the whole sample, so they are counted for one example.
            self._outputs(examples(sample, 0, 1))
            self._batch_size = max(1, MAX_ENTRIES // max(1, self._entries))
        while True:
            try:
                return self._pass(split(sample, self._batch_size))
            except TooManyOutputs:
                continue  # with smaller batches

    def _pass(self, batches: list) -> list[LayerStatistics]:
        ranges: dict[str, list] = {}
        measured: dict[str, list] = {}
        if len(batches) > 1:
            for batch in batches:
                for name, units in self._units(batch):
                    ranges.setdefault(name, []).append(range_of(units))
        for batch in batches:
            for name, units in self._units(batch):
                statistics = measure(self._layers[name], units, ranges.get(name))
                measured.setdefault(name, []).append(statistics)
        return [
            combine(name, self._layers[name], statistics)
            for name, statistics in measured.items()
        ]

    def _units(self, batch) -> Iterator[tuple[str, np.ndarray]]:
        """Yields the name and the unmasked entries of each output for one batch.

        The entries form a matrix with one column per unit.
        """
        found = self._outputs(batch)
        for name, layer in self._layers.items():
            if name in found:
                yield name, units_of(layer, *map(_to_numpy, found.pop(name)))

    def _capture(self, batch):
        outputs = LayerOutputs(self._model)
        found = outputs.of(batch)
        self.unseen = outputs.unseen
        self._entries = outputs.entries
        size = size_of(batch)
        if outputs.entries > MAX_ENTRIES and size > 1:
            self._batch_size = max(1, size * MAX_ENTRIES // outputs.entries)
            raise TooManyOutputs
        self._layers |= outputs.layers
        return found


def _takes_any_size(model: keras.Model) -> bool:
    return all(each.shape[0] is None for each in getattr(model, "inputs", None) or ())


def _to_numpy(tensor):
    return None if tensor is None else keras.ops.convert_to_numpy(tensor)
