"""What a training run has shown of its data, measured once."""

from dataclasses import replace

import keras

from ..data.data_facts import DataFacts, describe_data
from ..data.dependence import reads_ids
from ..data.gather import Gathering
from ..data.sample_data import Sample, join
from ..reading.model_facts import ModelFacts
from .pass_facts import PassFacts
from .trivial import TrivialLoss, loss_of_constants, measure_trivial

ENOUGH = 64  # examples that show whether a unit is dead


class SeenData:
    """The samples of the first epoch, and facts about them.

    Args:
        sample_size: Largest number of examples in a sample.

    Attributes:
        is_complete: Whether the first epoch has ended. Later samples are not added,
            because they would only repeat the examples.
    """

    def __init__(self, sample_size: int):
        self.is_complete = False
        self._sample_size = sample_size
        self._gathering = Gathering()
        self._described: dict[bool, DataFacts] = {}
        self._trivial: TrivialLoss | None = None
        self._is_measured = False

    @property
    def samples(self) -> list[Sample]:
        """The samples, evenly spread over the first epoch."""
        return self._gathering.samples

    @property
    def batch_size(self) -> int | None:
        """Batch size, or `None` if a batch has filled a whole sample."""
        size = self._gathering.largest
        return size if size < self._sample_size else None

    def latest(self) -> Sample:
        """Joins the latest samples, so that there are at least 64 examples."""
        latest: list[Sample] = []
        for one in reversed(self.samples):
            latest.insert(0, one)
            if sum(map(len, latest)) >= ENOUGH:
                break
        return join(latest)

    def add(self, sample: Sample) -> None:
        """Adds a sample of a batch."""
        if not self.is_complete:
            self._gathering.add(sample)
            self._described.clear()

    def describe(self, read: ModelFacts, *, dependence: bool) -> DataFacts | None:
        """Describes the samples.

        Args:
            read: Facts about the model.
            dependence: Whether to fit simple models, which takes up to some seconds.
        """
        if not self.samples:
            return None
        if dependence not in self._described:
            data = describe_data(
                join(self.samples),
                dependence=dependence,
                as_classes=not read.losses[0].is_distance,
                has_ids=reads_ids(read),
            )
            self._described[dependence] = replace(data, batch_size=self.batch_size)
        return self._described[dependence]

    def trivial(
        self, model: keras.Model, read: ModelFacts, steps: int | None
    ) -> TrivialLoss | None:
        """Returns the loss of constants, which is measured after the first epoch.

        Args:
            model: Compiled and built model.
            read: Facts about the model.
            steps: Number of steps in an epoch, or `None` if unknown.
        """
        if self.is_complete and self.samples and not self._is_measured:
            self._is_measured = True
            batch = self.batch_size
            size = None if steps is None or batch is None else steps * batch
            sample = replace(join(self.samples), size=size)
            self._trivial = measure_trivial(model, read, sample, batch)
        return self._trivial

    def constant_on(
        self, sample: Sample | None, model: keras.Model, read: ModelFacts
    ) -> float | None:
        """Returns the loss of the best constants on other examples, if it is known."""
        if self._trivial is None or sample is None:
            return None
        return loss_of_constants(
            model, read, sample, self._trivial.constants, self.batch_size
        )

    def compared(
        self, end: PassFacts | None, model: keras.Model, read: ModelFacts
    ) -> PassFacts | None:
        """Adds the loss of constants on its examples to the facts of a pass."""
        trivial = self._trivial
        if end is None or end.sample is None or end.constant is not None or not trivial:
            return end
        loss = loss_of_constants(
            model, read, end.sample, trivial.constants, self.batch_size
        )
        return end if loss is None else replace(end, constant=loss)
