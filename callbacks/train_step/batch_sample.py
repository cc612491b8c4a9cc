"""A sample of the batch that one training step received."""

from dataclasses import dataclass, field
from typing import Any

import keras

from zoo.backend.train_step import CannotSample, first_examples

PARTS = ("x", "y", "sample_weight")


@dataclass(frozen=True, eq=False)
class BatchSample:
    """The first examples of the batch that one training step received.

    The data are as `train_step` received them: `sample_weight` includes class weights,
    and `AdversarialTrainer` has not attacked `x` yet. `x`, `y` and `sample_weight` have
    the structure of the batch, and contain NumPy arrays as described in
    `zoo.backend.train_step`. If a strategy distributes the batch among several
    replicas, the examples are those of the first replica.

    Attributes:
        step: Step number, counted from 0 in every call to `fit`. With
            `steps_per_execution`, the number is `None` after the first call to the
            train function if no callback records updates, because the steps are then
            counted nowhere.
        x: Inputs.
        y: Targets, or `None`.
        sample_weight: Sample weights, or `None`.
        missing: Dict from "x", "y" or "sample_weight" to the reason why this part of
            the batch could not be sampled. The attribute itself is then `None`. A part
            that the batch does not have is not included.
    """

    step: int | None
    x: Any = None
    y: Any = None
    sample_weight: Any = None
    missing: dict[str, str] = field(default_factory=dict)

    @classmethod
    def from_batch(cls, step: int | None, batch, size: int) -> "BatchSample":
        """Creates an instance from the data with which Keras calls `train_step`.

        Args:
            step: Step number, or `None`.
            batch: Batch as a structure of tensors.
            size: Maximum number of examples.
        """
        try:
            parts = keras.utils.unpack_x_y_sample_weight(batch)
        except ValueError:
            return cls.without_data(
                step, "The batch is not a tuple `(x, y, sample_weight)`."
            )
        arrays, missing = {}, {}
        for name, part in zip(PARTS, parts, strict=True):
            try:
                arrays[name] = _sample(part, size)
            except CannotSample as reason:
                missing[name] = str(reason)
        return cls(step, **arrays, missing=missing)

    @classmethod
    def without_data(cls, step: int | None, reason: str) -> "BatchSample":
        """Creates an instance for a batch that could not be sampled."""
        return cls(step, missing=dict.fromkeys(PARTS, reason))


def _sample(part, size: int):
    return keras.tree.map_structure(lambda leaf: first_examples(leaf, size), part)
