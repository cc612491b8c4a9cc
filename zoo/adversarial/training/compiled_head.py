"""A function that determines the head of a model when the model is compiled."""

import warnings

import keras

from ...utils.arguments import invalid_argument
from ..classifier.compiled_accuracies import thresholds
from ..classifier.expected_outputs import matching_loss
from ..classifier.head import Head, contradiction, probe_outputs, read_head


def compiled_head(
    model: keras.Model, bounds: tuple[float, float], loss, metrics: list
) -> Head:
    """Determines the head of a model from its outputs, loss and metrics.

    Warns if the threshold of an accuracy metric differs from the head's threshold. Call
    this function directly from `compile`, so that the warning points to the user's call
    to `compile`.

    Args:
        model: Built classifier.
        bounds: Minimum and maximum allowed input values.
        loss: Loss that was passed to `compile`.
        metrics: Metrics that were passed to `compile`.

    Raises:
        ValueError: If the loss does not match the head of the model.
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
            matching_loss(loss, num_outputs, from_logits=not head.activation),
        )
    others = [t for t in thresholds(metrics) if t != head.threshold]
    if num_outputs == 1 and others:
        warnings.warn(
            f"The accuracy metric has a threshold of {others[0]:g}, but with this loss "
            f"the model predicts class 1 above {head.threshold:g}. The reported "
            "accuracy is therefore not that of the predictions under attack. Pass the "
            f"metric `keras.metrics.BinaryAccuracy(threshold={head.threshold:g})`.",
            stacklevel=3,
        )
    return head
