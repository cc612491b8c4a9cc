"""Brings the data of a training run back to the position at which it was saved."""

import collections
import warnings
import weakref
from collections.abc import Iterator
from dataclasses import replace

from zoo.backend.keras_fit_internals import replace_steps_once

from .data_source import training_source, validation_source
from .fit_call import FitCall
from .random_state import random_state, set_random_state

_iterated: weakref.WeakSet = (
    weakref.WeakSet()
)  # pipelines that `fit` has read in this process


class DataPosition:
    """Reads and sets the position of the training data of one call to `fit`.

    Datasets of `zoo.datasets` and arrays are set to an epoch directly: their order is a
    function of a counter or of the global random generators. All other data are drawn
    again from the beginning of `fit`, without training on them.

    Args:
        call: The call to `fit`.
    """

    def __init__(self, call: FitCall):
        self._iterator = call.epoch_iterator
        self._source = training_source(call)
        # A pass over the data may span several epochs, or have an unknown length.
        has_steps = call.arguments["steps_per_epoch"] is not None
        if has_steps or self._iterator.num_batches is None:
            self._source = replace(self._source, is_replayed=True)
        if self.is_replayed and self._source.order is None:
            self._note_use(call.dataset)
        self._validation = validation_source(call)

    @property
    def is_replayed(self) -> bool:
        """Whether earlier batches must be drawn again."""
        return self._source.is_replayed

    def warn(self, *, is_resumed: bool) -> None:
        """Warns if batches may differ from those of an uninterrupted training run.

        Args:
            is_resumed: Whether training is being resumed. Only then is code of the user
                mentioned, because it may well give the same batches again.
        """
        sources = {"training": self._source, "validation": self._validation}
        for name, source in sources.items():
            if source.doubt is not None and (is_resumed or not source.is_of_user):
                warnings.warn(
                    f"The {name} data may not be those of an uninterrupted training "
                    f"run: {source.doubt}. Everything else is resumed exactly.",
                    stacklevel=2,
                )

    def state(self) -> dict:
        """Returns the random state, and the counter of the order."""
        order = self._source.order
        counter = None if order is None else order.counter
        return {"random": random_state(), "counter": counter}

    def set_state(self, state: dict) -> None:
        """Restores a result of `state()`."""
        set_random_state(state["random"])
        if self._source.order is not None:
            self._source.order.counter = state["counter"]

    def replay_epochs(self, number: int) -> None:
        """Draws all batches of `number` epochs, as `fit` does."""
        for _ in range(number):
            with self._iterator.catch_stop_iteration():
                for _, _, source in self._iterator:
                    if not self._draw(source):
                        raise StopIteration

    def skip_steps(self, number: int) -> None:
        """Makes the next epoch begin with step `number`, after drawing earlier ones."""

        def remaining(steps: Iterator) -> Iterator:
            for begin, end, source in steps:
                if begin >= number or not self._draw(source):
                    yield begin, end, source

        replace_steps_once(self._iterator, remaining)

    def _draw(self, source) -> bool:
        """Draws the batches of one step; returns whether there were any."""
        if isinstance(source, list):  # on PyTorch, they have already been drawn
            return bool(source)
        steps = range(self._iterator.steps_per_execution)
        return bool(collections.deque(zip(steps, source, strict=False), maxlen=1))

    def _note_use(self, dataset) -> None:
        if dataset is None:
            return
        if dataset in _iterated and self._source.doubt is None:
            doubt = (
                "this pipeline has been iterated in this process before, so it is not "
                "at its beginning. Create it again, or restart the program"
            )
            self._source = replace(self._source, doubt=doubt)
        _iterated.add(dataset)
