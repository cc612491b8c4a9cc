"""A function that determines the head of a model that is compiled for training."""

import warnings

import keras

from ...utils.arguments import invalid_argument
from ..classifier.compiled_accuracies import thresholds
from ..classifier.head import Head, contradiction, probe_outputs, read_head


def compiled_head(
    model: keras.Model, bounds: tuple[float, float], loss, metrics: list
) -> Head:
    """Determines the head of a model from its outputs, loss and metrics.

    Warns if a compiled accuracy has another threshold than the head. Call it from
    `compile`, to which the warning refers.

    Args:
        model: Built classifier.
        bounds: The minimum and maximum value of an input.
        loss: Compiled loss.
        metrics: Compiled metrics.

    Raises:
        ValueError: If the loss contradicts the head of the model.
    """
    num_outputs, outputs = probe_outputs(model, bounds)
    head = read_head(model, num_outputs, outputs, loss=loss, metrics=metrics)
    if contradiction(head, model, outputs):
        ending = f"a {head.activation}" if head.activation else "logits"
        raise invalid_argument(
            "loss",
            f"a loss with from_logits={not head.activation}, since the model ends "
            f"in {ending}",
            loss,
        )
    others = [t for t in thresholds(metrics) if t != head.threshold]
    if num_outputs == 1 and others:
        warnings.warn(
            f"The compiled accuracy has a threshold of {others[0]:g}, but with "
            f"this loss the model predicts class 1 above {head.threshold:g}. The "
            "accuracy does not measure the predictions that are attacked. Pass "
            f"`keras.metrics.BinaryAccuracy(threshold={head.threshold:g})`.",
            stacklevel=3,
        )
    return head
