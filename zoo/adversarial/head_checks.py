"""Checks that a head is read as the model, its loss and its metrics mean it."""

from collections.abc import Iterator

import keras
import numpy as np

from .attacked_model import AttackedModel
from .compiled import LOGITS, accuracies, user_metrics
from .gradient_checks import FEW, UPPER_BOUND
from .head import Head, contradiction, vanishes


def check_head(target: AttackedModel, outputs: np.ndarray) -> Iterator[str]:
    """Finds probabilities that no visible layer made, and a loss that contradicts.

    Args:
        target: The model, after `check_data`.
        outputs: Array of shape `(examples, outputs)`: what the model returned.
    """
    head, outputs = target.head, outputs.astype("float32")
    if head.is_hidden and (head.expected is None or vanishes(head, outputs)):
        yield (
            f"The outputs look like {head.activation} probabilities, and no final "
            f"{head.activation} layer was found to attack the logits before it: "
            "gradients may vanish in it. End the model in logits. "
            f"{UPPER_BOUND}"
        )
    if contradiction(head, target.model, outputs):
        ending = f"a {head.activation}" if head.activation else "logits"
        yield (
            f"The model ends in {ending}, but was compiled with a loss that takes "
            f"{head.expected}, as with from_logits={head.expected == LOGITS}: it was "
            "not trained on what it predicts."
        )


def check_accuracy(
    model: keras.Model, head: Head, y: np.ndarray, classes: np.ndarray, outputs
) -> Iterator[str]:
    """Compares the clean accuracy with what the compiled metrics say.

    Args:
        model: The model.
        head: How its outputs are read.
        y: Labels as the user gave them.
        classes: Int32 array of shape `(examples,)`: the same labels.
        outputs: Array of shape `(examples, outputs)`: what the model returned.
    """
    own = (head.classes(outputs) == classes).mean()
    metrics = user_metrics(model) if getattr(model, "compiled", False) else []
    rule = f"a threshold of {head.threshold:g}" if head.num_outputs == 1 else "argmax"
    for name, value in accuracies(metrics, y, classes, outputs).items():
        if not abs(value - own) * len(classes) < 0.5:
            yield (
                f"The clean accuracy is {own:.4f} by {rule}, but the compiled metric "
                f"`{name}` is {value:.4f}: it does not measure what the model was "
                f"trained to predict, or the model is not read as it is meant. "
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
        return "Compile an accuracy that compares the largest output with the label."
    return (
        "Compile the model with the loss that it was trained with, and with "
        "`keras.metrics.BinaryAccuracy(threshold=...)`."
    )
