"""Functions for the accuracy metrics that a model was compiled with."""

from collections.abc import Sequence

import keras
import numpy as np

ACCURACIES = (
    keras.metrics.Accuracy,
    keras.metrics.BinaryAccuracy,
    keras.metrics.CategoricalAccuracy,
    keras.metrics.SparseCategoricalAccuracy,
)
NAMES = (
    *("accuracy", "acc", "binary_accuracy", "categorical_accuracy"),
    "sparse_categorical_accuracy",
)


def thresholds(metrics: Sequence) -> list[float]:
    """Returns the thresholds of all `BinaryAccuracy` metrics of a model.

    All metrics are interpreted as metrics of a model with a single output.
    """
    return [
        float(metric.threshold)
        for metric in (_metric(one, 1) for one in metrics)
        if isinstance(metric, keras.metrics.BinaryAccuracy)
    ]


def accuracies(
    metrics: list, y: np.ndarray, classes: np.ndarray, outputs: np.ndarray
) -> dict[str, float]:
    """Computes the values of all accuracy metrics, without changing their state.

    Args:
        metrics: Metrics as passed to `compile`.
        y: Labels, as passed by the user.
        classes: Integer array of shape `(examples,)`: the same labels, converted
            to classes.
        outputs: Array of shape `(examples, outputs)`: the outputs of the model.

    Returns:
        A dict that maps the name of each accuracy to its value.
    """
    num_outputs = outputs.shape[1]
    found = {}
    for metric in (_metric(one, num_outputs) for one in metrics):
        if metric is None:
            continue
        if isinstance(metric, keras.metrics.CategoricalAccuracy):
            labels = np.eye(max(num_outputs, 2))[classes]
        elif isinstance(metric, keras.metrics.SparseCategoricalAccuracy) or (
            num_outputs == 1 and y.shape[1:] == (2,)
        ):
            labels = classes[:, None]
        else:
            labels = y
        metric.update_state(labels, outputs)
        found[metric.name] = float(keras.ops.convert_to_numpy(metric.result()))
    return found


def copy_metric(metric):
    """Returns a copy of a metric, with a new state; returns other objects unchanged."""
    if not isinstance(metric, keras.metrics.Metric):
        return metric
    return type(metric).from_config(metric.get_config())


def _metric(identifier, num_outputs: int):
    """Returns a new metric if the identifier denotes an accuracy, or `None` otherwise.

    `BinaryAccuracy` is not used if there are several outputs, because it would score
    each output instead of each example.
    """
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        if num_outputs == 1:
            return keras.metrics.BinaryAccuracy(name=identifier)
        return keras.metrics.SparseCategoricalAccuracy(name=identifier)
    metric = copy_metric(keras.metrics.get(identifier))
    if not isinstance(metric, keras.metrics.Metric):
        name = getattr(metric, "__name__", type(metric).__name__)
        if metric is getattr(keras.metrics, name, None):
            metric = keras.metrics.get(name)
        else:
            metric = keras.metrics.MeanMetricWrapper(metric, name=name)
    if isinstance(metric, keras.metrics.BinaryAccuracy) and num_outputs > 1:
        return None
    is_accuracy = isinstance(metric, ACCURACIES) or metric.name in NAMES
    return metric if is_accuracy else None
