"""Checks that the head of a model matches the outputs, the loss and the metrics."""

from collections.abc import Iterator

import keras
import numpy as np

from ...backend.keras_internals import user_metrics
from ..classifier.classifier import Classifier
from ..classifier.compiled_accuracies import accuracies
from ..classifier.expected_outputs import LOGITS, matching_loss
from ..classifier.head import Head, contradiction, vanishes
from .gradient_checks import FEW, UPPER_BOUND


def check_head(classifier: Classifier, outputs: np.ndarray) -> Iterator[str]:
    """Checks whether the final activation of a model matches its outputs and its loss.

    Args:
        classifier: The wrapped model, after a call to `classifier.check_data`.
        outputs: Array of shape `(examples, outputs)`: outputs of the model.

    Yields:
        A warning if the outputs look like probabilities but do not come from a
        recognized final layer, and a warning if the loss contradicts the head.
    """
    head, outputs = classifier.head, outputs.astype("float32")
    if head.is_hidden and (head.expected is None or vanishes(head, outputs)):
        yield (
            f"The outputs look like {head.activation} probabilities, but no final "
            f"{head.activation} layer was found, so its input, the logits, cannot be "
            "attacked. Gradients may vanish. End the model in logits. "
            f"{UPPER_BOUND}"
        )
    if contradiction(head, classifier.model, outputs):
        ending = f"a {head.activation}" if head.activation else "logits"
        yield (
            f"The model ends in {ending}, but was compiled with a loss that expects "
            f"{head.expected} (from_logits={head.expected == LOGITS}). The loss "
            "misinterprets the outputs of the model. "
            + matching_loss(
                classifier.model.loss, head.num_outputs, not head.activation
            )
        )


def check_accuracy(
    model: keras.Model, head: Head, y: np.ndarray, classes: np.ndarray, outputs
) -> Iterator[str]:
    """Compares the clean accuracy with the accuracy metrics of the compiled model.

    Args:
        model: The model.
        head: The head of the model.
        y: Labels, as passed by the user.
        classes: Int32 array of shape `(examples,)`: the same labels, converted to
            classes.
        outputs: Array of shape `(examples, outputs)`: outputs of the model.

    Yields:
        A warning for each metric whose value differs from the clean accuracy. If the
        model has a single output and a threshold of 0 or 0.5, there is an additional
        warning if the other threshold would give a clearly higher accuracy.
    """
    own = (head.classes(outputs) == classes).mean()
    metrics = user_metrics(model) if getattr(model, "compiled", False) else []
    rule = f"a threshold of {head.threshold:g}" if head.num_outputs == 1 else "argmax"
    for name, value in accuracies(metrics, y, classes, outputs).items():
        if not abs(value - own) * len(classes) < 0.5:
            yield (
                f"The clean accuracy is {own:.4f} by {rule}, but the model's metric "
                f"`{name}` is {value:.4f}. Either the metric does not match the "
                f"training objective, or the outputs of the model were misinterpreted. "
                f"{_fix(head)}"
            )
    if head.num_outputs == 1 and head.threshold in (0, 0.5):
        other = 0.5 - head.threshold
        others = ((outputs[:, 0] > other) == classes).mean()
        if others > own + FEW:
            yield (
                f"The clean accuracy is {own:.4f} by {rule}, but would be "
                f"{others:.4f} by one of {other:g}. {_fix(head)}"
            )


def _fix(head: Head) -> str:
    if head.num_outputs > 1:
        return "Compile an accuracy metric that compares the argmax with the label."
    return (
        "Compile the model with its training loss and with "
        "`keras.metrics.BinaryAccuracy(threshold=...)`."
    )
