"""Warnings about ranges whose best values lie near a bound."""

from collections.abc import Sequence

import numpy as np
from keras_tuner.engine.hyperparameters import HyperParameter

from ..hyperparameters.probability import bounds_of, choices

NEAR_EDGE = 0.05  # fraction of the full range
NO_EDGE = ("lower", 0)  # most quantities, such as rates, cannot be negative


def edge_warnings(hp: HyperParameter, value, positions: Sequence[float]) -> list[str]:
    """Returns a warning for each bound that is close to the best values.

    Args:
        hp: Ordered hyperparameter.
        value: Value of the best trial.
        positions: Values of the best trials, converted to probabilities. The best trial
            comes first.
    """
    values = choices(hp)
    near = NEAR_EDGE if values is None else 0.5 / len(values) + 1e-9
    first, last = bounds_of(hp)
    names = ("lower", "upper") if first <= last else ("upper", "lower")
    mean = np.mean(positions)
    sentences = []
    for bound, name, distance, mean_distance in (
        (first, names[0], positions[0], mean),
        (last, names[1], 1 - positions[0], 1 - mean),
    ):
        is_near = distance <= near and mean_distance < 0.25 + near
        if is_near and (name, bound) != NO_EDGE:
            sentences.append(
                f"The best {hp.name}, {_short(value)}, lies "
                + ("within 5 % of" if values is None else "at")
                + f" the {name} bound {_short(bound)} of its range: widen it."
            )
    return sentences


def _short(value) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
