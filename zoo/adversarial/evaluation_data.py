"""What evaluations take: labelled data, and the radii of perturbations."""

from collections.abc import Sequence
from numbers import Real

import keras
import numpy as np

from ..arguments import invalid_argument
from .attack import check_epsilon
from .model_call import only


def as_arrays(data) -> tuple[np.ndarray, np.ndarray]:
    """Returns inputs and labels of a pair of arrays, or of batches of pairs."""
    if isinstance(data, tuple) and len(data) == 2:
        return tuple(keras.ops.convert_to_numpy(only(part)) for part in data)
    try:
        if hasattr(data, "shape"):
            raise TypeError("The labels are missing.")
        pairs = [batch[:2] for batch in data]
        x, y = (
            np.concatenate([keras.ops.convert_to_numpy(only(part)) for part in parts])
            for parts in zip(*pairs, strict=True)
        )
    except (TypeError, ValueError) as error:
        expected = "arrays (x, y), or batches of them"
        raise invalid_argument("data", expected, data, f"{error}") from None
    return x, y


def check_epsilons(epsilons: float | Sequence[float]) -> list[float]:
    """Returns the radii in ascending order, or raises if one is no number >= 0."""
    if isinstance(epsilons, Real):
        epsilons = [epsilons]
    if isinstance(epsilons, str) or not len(np.shape(epsilons)) == 1:
        raise invalid_argument("epsilons", "a number or several", epsilons)
    if not len(epsilons):
        raise invalid_argument("epsilons", "one number at least", epsilons)
    return sorted(
        {check_epsilon(value, "l2", (0, 1), name="epsilons") for value in epsilons}
    )
