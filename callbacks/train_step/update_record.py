"""The record of one weight update."""

from dataclasses import dataclass, replace

import numpy as np

from .magnitudes import Magnitudes

QUANTITIES = ("gradient", "weight", "update")


@dataclass(frozen=True, eq=False)
class UpdateRecord:
    """Record of one weight update. Arrays have one entry per variable.

    A step can make several updates. Each update has its own record.

    Attributes:
        step: Step number, counted from 0 in every call to `fit`.
        number: Number of earlier steps that updated the weights.
        epoch: Epoch of the step.
        learning_rate: Learning rate of the update; NaN if several optimizers with
            different learning rates took part.
        skipped: Whether a `LossScaleOptimizer` skipped the update.
        gradient_norm: Norms of the gradients; NaN for a variable that has no gradient
            or is not included in this update.
        weight_norm: Norms of the weights before the update.
        update_norm: Norms of the changes that the update made to the weights.
        magnitudes: Dict from each requested quantity to its `Magnitudes`.
    """

    step: int
    number: int
    epoch: int
    learning_rate: float
    skipped: bool
    gradient_norm: np.ndarray
    weight_norm: np.ndarray
    update_norm: np.ndarray
    magnitudes: dict[str, Magnitudes]


def padded(record: UpdateRecord, size: int) -> UpdateRecord:
    """Pads a record to `size` variables, with NaN for norms and 0 for counts."""
    missing = size - len(record.weight_norm)
    if not missing:
        return record
    norms = {
        name: np.append(getattr(record, name), np.full(missing, np.nan, "float32"))
        for name in (f"{quantity}_norm" for quantity in QUANTITIES)
    }
    magnitudes = {
        quantity: one.padded(missing) for quantity, one in record.magnitudes.items()
    }
    return replace(record, **norms, magnitudes=magnitudes)
