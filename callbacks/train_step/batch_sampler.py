"""Samples batches on their way to the training step."""

import math

from zoo.backend.train_step import CannotSample, take_batch

from .batch_sample import BatchSample
from .optimizers import updating_optimizers
from .step import Step


class BatchSampler:
    """Decides which batches are sampled, and stores the latest sample.

    All callbacks in one call to `fit` that request samples share one instance. Batches
    are sampled before they are passed to the train function, so the compiled step does
    not change, and steps that are not sampled cost nothing. If one call to the train
    function runs several steps, the batch of the first of these steps is sampled.

    Attributes:
        sample: The latest sample; `None` before the first sample.
    """

    def __init__(self):
        self.sample: BatchSample | None = None
        self._size = 0
        self._intervals: list[int] = []
        self._next: float = math.inf  # number of the next call to sample

    def request(self, size: int, every: int | None = None) -> None:
        """Requests samples of the first step, and of later steps at an interval.

        Args:
            size: Maximum number of examples.
            every: Number of calls to the train function from one sample to the next. If
                gradients are accumulated, the number of updates of the weights.
                Defaults to `None`, which samples only the first step.
        """
        self._size = max(self._size, size)
        self._next = 0
        if every is not None:
            self._intervals.append(every)

    def stop(self, every: int) -> None:
        """Ends the regular samples of one request with this interval."""
        self._intervals.remove(every)

    def resume(self, step: Step) -> None:
        """Skips the samples of all steps before the one at which training resumes.

        Args:
            step: Step with the number of calls in the training run that is resumed.
        """
        self._next = self._first_due(step, step.num_calls)

    def before_call(self, step: Step, args: tuple) -> tuple:
        """Samples the next batch if a sample is due.

        Args:
            step: Step that is about to be called.
            args: Arguments of the call.

        Returns:
            The arguments with which `step` must be called instead.
        """
        if step.num_calls < self._next:
            return args
        number = step.count_steps()
        try:
            args, batch = take_batch(step.model, args)
        except CannotSample as reason:
            self.sample = BatchSample.without_data(number, str(reason))
        else:
            if batch is None:  # the data has ended, so this step will not run
                return args
            self.sample = BatchSample.from_batch(number, batch, self._size)
        self._next = self._first_due(step, step.num_calls + 1)
        return args

    def _first_due(self, step: Step, number: int) -> float:
        """Returns the number of the first call to sample that is at least `number`."""
        optimizers = updating_optimizers(step.model.optimizer)
        accumulated = [one.gradient_accumulation_steps or 1 for one in optimizers]
        per_update = max(accumulated, default=1)
        intervals = [every * per_update for every in self._intervals]
        return min(
            (-(-number // interval) * interval for interval in intervals),
            default=math.inf,
        )
