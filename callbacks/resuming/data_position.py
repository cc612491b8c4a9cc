"""Brings the data of a training run back to the position at which it was saved."""

import collections
import warnings
from collections.abc import Iterator
from dataclasses import replace

from zoo.backend import CAN_BEGIN_AT_END
from zoo.backend.keras_fit_internals import replace_steps_once

from .data_source import note_use, training_source, validation_source
from .fit_call import FitCall
from .random_state import random_state, set_random_state


class DataPosition:
    """Reads and sets the position of the training data of one call to `fit`.

    Datasets of `zoo.datasets` and arrays are set to an epoch directly: their order is a
    function of a counter or of the global random generators. All other data are drawn
    again from the beginning of `fit`, without training on them.

    Args:
        call: The call to `fit`.

    Attributes:
        may_end: Whether a step may find that no data are left, because the number of
            batches is unknown.
    """

    def __init__(self, call: FitCall):
        self._iterator = call.epoch_iterator
        # `fit` finds the end of such data when it has already begun one more step.
        self.may_end = self._iterator.num_batches is None
        self._source = training_source(call)
        # A pass over the data may span several epochs, or have an unknown length.
        has_steps = call.arguments["steps_per_epoch"] is not None
        if has_steps or self.may_end:
            self._source = replace(self._source, is_replayed=True)
        if self.is_replayed and self._source.order is None:
            doubt = self._source.doubt or note_use(call.dataset)
            self._source = replace(self._source, doubt=doubt)
        self._validation = validation_source(call)

    @property
    def is_replayed(self) -> bool:
        """Whether earlier batches must be drawn again."""
        return self._source.is_replayed

    @property
    def can_be_saved_within(self) -> bool:
        """Whether training can be resumed within an epoch."""
        return CAN_BEGIN_AT_END or not self.may_end

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
        if not self.can_be_saved_within:
            warnings.warn(
                "Training can be saved only at the ends of epochs, because the number "
                "of batches is unknown. For a `tf.data` pipeline, apply "
                "`tf.data.experimental.assert_cardinality(number)`; otherwise, pass "
                "`steps_per_epoch` to `fit`.",
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

    def set_state_of_epoch(self, state: dict) -> None:
        """Restores the `state()` at the beginning of the epoch that follows.

        After a replay, this does not change the counter: the replay has set it, and
        batches that are drawn in advance may already have advanced it further.
        """
        if self.is_replayed:
            set_random_state(state["random"])
        else:
            self.set_state(state)

    def replay_epochs(self, state: dict, number: int) -> None:
        """Draws all batches of `number` epochs again, as `fit` does.

        If this is not needed, the method does nothing.

        Args:
            state: The `state()` at the beginning of `fit`.
            number: Number of epochs.
        """
        if not self.is_replayed:
            return
        self.set_state(state)
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
