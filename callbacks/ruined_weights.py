"""Recognizes weights for which no learning rate can be suggested."""

import keras
import numpy as np

from zoo.backend.keras_internals import flatten_layers
from zoo.differentiation import weight_gradients

from .diagnosis.reading.read_graph import kernel_of
from .monitors.summaries import listed

GROWTH = 10.0  # of a kernel since its initialization: training has diverged
NEW_WEIGHTS = "Build the model again, with new weights."


def check_weights(model: keras.Model) -> None:
    """Raises an error if a trainable weight is infinite or NaN.

    The loss may be finite all the same: on some CPUs, the ReLU of NaN is 0.
    """
    broken = [
        layer.name
        for layer in flatten_layers(model, include_self=False)
        if not all(map(_is_finite, layer.trainable_weights))
    ]
    if broken:
        raise _error(
            "finite weights",
            f"NaN or infinity in {listed(broken)}",
            f"Training has diverged. {NEW_WEIGHTS}",
        )


def check_loss(loss: float) -> None:
    """Raises an error if the loss of the first batch is infinite or NaN."""
    if not np.isfinite(loss):
        raise _error(
            "a finite loss of the first batch, before any update",
            f"loss={loss}",
            "Look for the cause with `callbacks.diagnose(model, x, y)`.",
        )


def fault_of(model: keras.Model, batch: tuple) -> str:
    """Returns why no learning rate suits the weights, or `""` if none is known.

    Either no gradient reaches any kernel, so that a loss can fall only by chance or by
    biases, or more than half of the kernels have grown far beyond their initial size.

    Args:
        model: Compiled and built model.
        batch: Tuple `(x, y, sample_weight)`.
    """
    if _has_no_gradient(model, batch):
        return (
            "no gradient reaches the kernels, as when all units of a layer are dead. "
            f"{NEW_WEIGHTS}"
        )
    kernels = map(kernel_of, flatten_layers(model, include_self=False))
    growth = [one.growth for one in kernels if one.growth is not None and one.trainable]
    if growth and np.median(growth) > GROWTH:
        return (
            f"the weights are {np.median(growth):.0f} times as large as new ones, as "
            f"after training that diverged. {NEW_WEIGHTS}"
        )
    return ""


def _error(expected: str, received: str, fix: str) -> ValueError:
    return ValueError(
        f"No learning rate can be suggested. Expected {expected}. Received: {received}"
        f"\n{fix}"
    )


def _has_no_gradient(model: keras.Model, batch: tuple) -> bool:
    """Returns whether the gradients of all kernels are known to be zero."""
    if type(model).train_step is not keras.Model.train_step:
        return False
    x, y, sample_weight = batch
    try:
        gradients = weight_gradients(model, x, y, sample_weight=sample_weight)
    except Exception:  # a loss or a layer without a gradient
        return False
    kernels = [one for one in gradients if len(one.shape) > 1]
    return bool(kernels) and not any(
        keras.ops.convert_to_numpy(one).any() for one in kernels
    )


def _is_finite(variable) -> bool:
    values = np.asarray(keras.ops.convert_to_numpy(variable))
    return values.dtype.kind not in "fV" or bool(
        np.isfinite(values.astype("float32")).all()
    )
