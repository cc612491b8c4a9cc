"""The metrics of `AdversarialTrainer` on adversarial inputs."""

from dataclasses import dataclass

import keras
from keras import ops
from keras.src.trainers.compile_utils import CompileMetrics

from ..classifier.compiled import copy_metric
from .seen_labels import SeenLabels


@dataclass
class RobustMetrics:
    """Holds copies of the compiled metrics for adversarial inputs.

    Attributes:
        compiled: The copies, or `None` if no metrics are compiled.
        loss: Mean of the compiled loss on adversarial inputs.
        labels: Extremes of the labels, for a later check.
    """

    compiled: CompileMetrics | None
    loss: keras.metrics.Mean
    labels: SeenLabels

    def __init__(self, metrics, weighted_metrics):
        self.loss = keras.metrics.Mean(name="robust_loss")
        self.labels = SeenLabels()
        self.compiled = None
        if metrics is not None or weighted_metrics is not None:
            self.compiled = _Prefixed(_copies(metrics), _copies(weighted_metrics))

    def list(self) -> list:
        """Returns all metrics."""
        metrics = (self.loss, self.compiled, self.labels)
        return [metric for metric in metrics if metric is not None]

    def update(self, loss, y, outputs, sample_weight):
        """Updates the metrics with a batch."""
        self.loss.update_state(loss, sample_weight=ops.shape(outputs)[0])
        if self.compiled is not None:
            self.compiled.update_state(y, outputs, sample_weight)


class _Prefixed(CompileMetrics):
    def result(self):
        return {f"robust_{key}": value for key, value in super().result().items()}


def _copies(metrics):
    if metrics is None:
        return None
    return keras.tree.map_structure(copy_metric, metrics)
