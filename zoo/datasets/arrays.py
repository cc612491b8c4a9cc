"""Stores the examples of one split, and checks their values."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

logger = logging.getLogger(__name__)

IMAGE_DTYPES = (np.dtype("bool"), np.dtype("uint8"), np.dtype("uint16"))
CHUNK = 4096  # number of examples processed at once, to avoid copying all of them


@dataclass(frozen=True)
class Arrays:
    """Stores the inputs and targets of one split.

    Images are stored in their original dtype, because uint8 takes only a quarter of
    the memory of float32. They are scaled to [0, 1] when a batch is read.

    Args:
        x: Inputs, an array of shape `(examples, *input_shape)`.
        y: Targets, an array of shape `(examples, ...)`.
        scale: Factor by which `x` is multiplied, in float32, when a batch is read.
            Defaults to `None`: batches of `x` keep the stored values and dtype.
    """

    x: np.ndarray
    y: np.ndarray
    scale: float | None = None

    def __len__(self) -> int:
        return len(self.x)

    def batch(self, rows) -> tuple[np.ndarray, np.ndarray]:
        """Returns `(x, y)` for the given rows (a slice or an array of indices)."""
        x = self.x[rows]
        if self.scale is not None:
            x = x.astype("float32") * np.float32(self.scale)
        return x, self.y[rows]

    def batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields all examples in their stored order, in chunks `(x, y)`."""
        for start in range(0, len(self), CHUNK):
            yield self.batch(slice(start, start + CHUNK))


def is_image(dtype, ndim: int) -> bool:
    """Returns whether examples of this dtype and number of dimensions are images.

    Only arrays of dtype bool, uint8 or uint16 are treated as images, because other
    arrays may contain sequences, spectra or counts.
    """
    return np.dtype(dtype) in IMAGE_DTYPES and ndim in (2, 3)


def image_scale(dtype) -> float | None:
    """Returns the factor that scales images to [0, 1], or `None` for float images."""
    dtype = np.dtype(dtype)
    if np.issubdtype(dtype, np.bool_):
        return 1.0
    if np.issubdtype(dtype, np.integer):
        return 1.0 / np.iinfo(dtype).max
    return None


def say_unscaled(x: np.ndarray, where: str) -> None:
    """Logs a warning if the inputs look like images that are not scaled to [0, 1]."""
    is_integer = np.issubdtype(x.dtype, np.integer)
    has_channels = x.ndim == 4 and x.shape[-1] in (1, 3, 4)
    if x.dtype in IMAGE_DTYPES or not (has_channels or (is_integer and x.ndim == 3)):
        return
    seen = x[:CHUNK]
    if seen.min() >= 0 and seen.max() > 1:
        logger.warning(
            "The %s go up to %g and are taken as they are, because their dtype is %s. "
            "If they are images, divide them by their largest possible value, or pass "
            "them as uint8 or uint16, which are scaled to [0, 1] automatically.",
            where,
            seen.max(),
            x.dtype,
        )


def check_finite(values: np.ndarray, where: str) -> None:
    """Raises an error if a value is NaN or infinite; the message names its row."""
    if not np.issubdtype(values.dtype, np.floating):
        return
    for start in range(0, len(values), CHUNK):
        chunk = values[start : start + CHUNK]
        finite = np.isfinite(chunk).reshape(len(chunk), -1).all(axis=1)
        if not finite.all():
            row = start + int(np.argmin(finite))
            raise ValueError(
                f"Invalid values in {where}. Expected finite numbers. Received: NaN "
                f"or infinity, first in row {row}.\n"
                "Before training, drop such rows or impute the values."
            )


def check_labels(labels: np.ndarray, num_classes: int, where: str) -> None:
    """Raises an error if a label is not in `range(num_classes)`."""
    outside = (labels < 0) | (labels >= num_classes)
    if outside.any():
        row = int(np.argmax(outside))
        raise ValueError(
            f"Invalid labels in {where}. Expected integers from 0 to "
            f"{num_classes - 1} ({num_classes} classes). Received: {labels[row]} in "
            f"row {row}; the labels range from {labels.min()} to {labels.max()}.\n"
            "If `class_names` is given, it must contain one name for each class."
        )


def check_tokens(ids: np.ndarray, where: str, vocabulary) -> None:
    """Raises an error if a token id is not an index of the vocabulary."""
    if ids.min() < 0 or ids.max() >= len(vocabulary):
        raise ValueError(
            f"Invalid token ids in {where}. Expected integers from 0 to "
            f"{len(vocabulary) - 1}, the indices of `vocabulary`. Received: ids from "
            f"{ids.min()} to {ids.max()}"
        )


def check_not_empty(size: int, split: str, reason: str) -> None:
    """Raises an error if a split has no examples."""
    if size < 1:
        raise ValueError(
            f"The {split} split is empty. Expected at least one example. "
            f"Received: {size}.\n{reason}"
        )
