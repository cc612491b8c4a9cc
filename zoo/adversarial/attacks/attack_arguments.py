"""Checks for the arguments that all attacks share."""

from numbers import Real

import numpy as np

from ...utils.arguments import check_not_negative, invalid_argument, is_number
from .. import norms


def check_bounds(bounds) -> tuple[float, float]:
    """Returns the bounds as two floats, or raises an error if they are invalid."""
    is_pair = isinstance(bounds, tuple | list) and len(bounds) == 2
    if not is_pair or not all(map(is_number, bounds)) or bounds[0] >= bounds[1]:
        expected = "two finite numbers, the minimum and the maximum value of an input"
        raise invalid_argument("bounds", expected, bounds)
    return float(bounds[0]), float(bounds[1])


def check_epsilon(epsilon, norm: str, bounds, shape=(), name="epsilon") -> float:
    """Returns epsilon as a float, or raises an error if it is invalid.

    Epsilon must not be negative, and must not exceed the norm of the largest
    perturbation within the bounds. Except for linf, this limit depends on the shape of
    an example, so it is checked only if `shape` is given.
    """
    epsilon = check_not_negative(name, epsilon)
    if norm != "linf" and not shape:
        return epsilon
    widest = norms.widest(norm, shape, bounds)
    if epsilon > widest * (1 + 1e-6):
        raise invalid_argument(
            name,
            f"at most {widest:.6g}, the largest {norm} perturbation within "
            f"bounds={tuple(bounds)}",
            epsilon,
            "Are the inputs in different units? Set `bounds=` to their range.",
        )
    return epsilon


def check_epsilons(epsilons) -> list[float]:
    """Returns one or several values of epsilon as a sorted list without duplicates."""
    if isinstance(epsilons, Real):
        epsilons = [epsilons]
    if isinstance(epsilons, str) or not len(np.shape(epsilons)) == 1:
        raise invalid_argument("epsilons", "a number or several numbers", epsilons)
    if not len(epsilons):
        raise invalid_argument("epsilons", "one number at least", epsilons)
    return sorted({check_not_negative("epsilons", value) for value in epsilons})


def check_mask(mask) -> np.ndarray | None:
    """Returns the mask as booleans, or raises an error if it is invalid.

    Each value must be `True`, `False`, 1 or 0, and at least one must be `True` or 1.
    """
    if mask is None:
        return None
    mask = np.asarray(mask)
    if not np.isin(mask, (0, 1)).all() or not mask.any():
        raise invalid_argument(
            "mask",
            "booleans that broadcast to the shape of an example, with True for the "
            "features that may change, at least one",
            f"{mask.dtype} of shape {mask.shape}",
        )
    return mask.astype(bool)


def check_mask_shape(mask: tuple[int, ...], shape: tuple[int, ...]) -> None:
    """Raises an error if a mask does not broadcast to the shape of an example.

    Args:
        mask: Shape of the mask.
        shape: Shape of an example.
    """
    pairs = zip(reversed(mask), reversed(shape), strict=False)
    if len(mask) > len(shape) or any(own not in (1, size) for own, size in pairs):
        expected = f"booleans that broadcast to the shape of an example, {shape}"
        raise invalid_argument("mask", expected, f"booleans of shape {mask}")
