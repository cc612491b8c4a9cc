"""The hinge loss of a multi-class support vector machine."""

import keras
import numpy as np
from keras import ops

from ..utils.arguments import check_positive


@keras.saving.register_keras_serializable(package="kerascope")
class MulticlassHinge(keras.losses.Loss):
    """Computes the multi-class hinge loss between labels and scores.

    With scores `s` and true class `y`, the loss of an example is the sum over all
    `j != y` of `max(0, s[j] - s[y] + margin)`. Unlike cross-entropy, this loss is zero
    once the score of the true class exceeds every other score by the margin.

    Source: Weston & Watkins, "Support Vector Machines for Multi-Class Pattern
    Recognition" (1999), equation 8, where the margin is 2.

    Args:
        margin: Number > 0, in units of the scores. Defaults to `1.0`.
        reduction: As in `keras.losses.Loss`. Defaults to `"sum_over_batch_size"`.
        name: Name of the loss. Defaults to `"multiclass_hinge"`.
        dtype: As in `keras.losses.Loss`. Defaults to `None`: float32, even if the
            scores are in half precision.

    Call arguments:
        y_true: Class labels, integers of shape `(batch, ...)` or `(batch, ..., 1)`.
            The loss is NaN for a label that is not the index of a class.
        y_pred: Scores (logits) of shape `(batch, ..., classes)`.

    Raises:
        ValueError: If `margin` is not > 0, or the shapes are incompatible.

    Example:

    >>> from zoo.losses import MulticlassHinge
    >>> scores = np.array([[3.0, 2.5, 1.0], [0.0, 0.0, 0.0]])
    >>> float(MulticlassHinge()(np.array([0, 2]), scores))  # the mean of 0.5 and 1 + 1
    1.25
    """

    def __init__(
        self,
        margin: float = 1.0,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "multiclass_hinge",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)
        self.margin = check_positive("margin", margin)

    def call(self, y_true, y_pred):
        if len(y_true.shape) == len(y_pred.shape) and y_true.shape[-1] == 1:
            y_true = ops.squeeze(y_true, axis=-1)
        if len(y_true.shape) != len(y_pred.shape) - 1:
            raise ValueError(
                "Invalid shape of y_true. Expected class labels of shape "
                f"{tuple(y_pred.shape[:-1])} for scores of shape "
                f"{tuple(y_pred.shape)}. Received: {tuple(y_true.shape)}\n"
                "Convert one-hot labels with `y.argmax(axis=-1)`."
            )
        classes = ops.arange(y_pred.shape[-1], dtype="int32")
        is_right = ops.expand_dims(ops.cast(y_true, "int32"), axis=-1) == classes
        right = ops.cast(is_right, y_pred.dtype)
        score = ops.sum(right * y_pred, axis=-1, keepdims=True)
        violations = ops.relu(y_pred - score + self.margin)
        loss = ops.sum((1 - right) * violations, axis=-1)
        return ops.where(ops.any(is_right, axis=-1), loss, np.nan)

    def get_config(self):
        return {**super().get_config(), "margin": self.margin}
