"""The metrics that `AdversarialTrainer` computes on adversarial inputs."""

from collections.abc import Callable

import keras
from keras import ops

from ...backend.keras_internals import prefixed_metrics, unscale_loss
from ..classifier.compiled_accuracies import copy_metric


class RobustMetrics:
    """Computes the loss and metrics of a compiled model on adversarial inputs.

    The metrics are copies of the metrics that were passed to `compile`.

    Args:
        loss: Loss function that the model was compiled with. It takes labels, outputs
            and sample weights.
        metrics: Same as in `keras.Model.compile`.
        weighted_metrics: Same as in `keras.Model.compile`.

    Attributes:
        compiled: The copied metrics, combined into one metric; `None` if the model was
            compiled without metrics.
        loss: Mean of the loss on adversarial inputs.
    """

    def __init__(self, loss: Callable, metrics, weighted_metrics):
        self._loss_of = loss
        self.loss = keras.metrics.Mean(name="robust_loss")
        self.compiled = None
        if metrics is not None or weighted_metrics is not None:
            self.compiled = prefixed_metrics(
                _copies(metrics), _copies(weighted_metrics), "robust_"
            )

    def as_list(self) -> list[keras.metrics.Metric]:
        """Returns the metric `loss`, and the metric `compiled` if it is not `None`."""
        return [self.loss] if self.compiled is None else [self.loss, self.compiled]

    def update(self, y, outputs, sample_weight) -> None:
        """Updates the metrics with a batch of outputs on adversarial inputs."""
        loss = unscale_loss(self._loss_of(y, outputs, sample_weight))
        self.loss.update_state(loss, sample_weight=ops.shape(outputs)[0])
        if self.compiled is not None:
            self.compiled.update_state(y, outputs, sample_weight)


def _copies(metrics):
    if metrics is None:
        return None
    return keras.tree.map_structure(copy_metric, metrics)
