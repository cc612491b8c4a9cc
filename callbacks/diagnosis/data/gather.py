"""Gathers samples of batches that are spread evenly over one pass through the data."""

from .rows import SeenRows
from .sample_data import Sample, limit


class Gathering:
    """Keeps some of the samples that it is given, evenly spread over all of them.

    If the samples exceed 2,048 examples or 2**24 numbers, every second one is dropped,
    and from then on fewer are kept. A sample whose examples were all seen before shows
    that the data repeats; it is ignored, and so is everything after it.

    Attributes:
        samples: List of the samples that were kept, in order.
        largest: Number of examples in the largest sample that was offered.
    """

    def __init__(self):
        self.samples: list[Sample] = []
        self.largest = 0
        self._offered = 0
        self._every = 1
        self._seen = SeenRows()
        self._repeats = False

    def add(self, sample: Sample) -> None:
        """Adds a sample if it has the same structure as the others and is new."""
        if self.samples and sample.shapes != self.samples[0].shapes:
            return
        self._repeats = self._repeats or self._seen.repeats((sample.x, sample.y))
        if self._repeats:
            return
        self.largest = max(self.largest, len(sample))
        if self._offered % self._every == 0:
            self.samples.append(sample.first(limit(sample)))
        self._offered += 1
        while len(self.samples) > 1 and self._is_full():
            self.samples = self.samples[::2]
            self._every *= 2

    def _is_full(self) -> bool:
        return sum(map(len, self.samples)) > limit(self.samples[0])
