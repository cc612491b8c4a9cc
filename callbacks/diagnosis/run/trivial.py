"""Losses and scores of trivial predictors, which ignore the inputs."""

import math

import numpy as np

from ..data.data_facts import DataFacts, TargetFacts
from ..reading.loss_facts import LossFacts
from ..reading.model_facts import ModelFacts


def trivial_loss(model: ModelFacts, data: DataFacts) -> float | None:
    """Returns the total loss of the best constant predictor, or `None` if unknown.

    The constant is chosen on the sample: class frequencies, the mean or the median.
    """
    if len(model.losses) != len(data.targets) or not data.targets:
        return None
    parts = [
        constant_loss(loss, target)
        for loss, target in zip(model.losses, data.targets, strict=True)
    ]
    total = 0.0
    for loss, part in zip(model.losses, parts, strict=True):
        if part is None:
            return None
        total += loss.weight * part
    return total


def constant_loss(loss: LossFacts, target: TargetFacts) -> float | None:
    """Returns the loss of the best constant prediction of one output."""
    values = target.values
    weights = np.ones(len(values)) if target.weights is None else target.weights
    weights = weights.reshape(-1, *[1] * (values.ndim - 1))
    if loss.is_sparse or loss.is_categorical:
        return _categorical(loss, target, weights)
    if loss.name == "binary_crossentropy":
        return _binary(loss, values, weights)
    if not loss.is_distance:
        return None
    if loss.name == "mean_squared_error":
        center = (weights * values).sum(axis=0) / weights.sum()
        return float((weights * (values - center) ** 2).mean())
    if loss.name == "mean_absolute_error":
        return float((weights * np.abs(values - np.median(values, axis=0))).mean())
    return None


def floor_loss(model: ModelFacts, data: DataFacts) -> float:
    """Returns the smallest possible total loss.

    It is not zero for a cross-entropy with soft targets, such as gray pixels or
    smoothed labels.
    """
    total = 0.0
    for loss, target in zip(model.losses, data.targets, strict=True):
        smoothing, values = loss.label_smoothing, target.values
        if loss.name == "binary_crossentropy":
            soft = values * (1 - smoothing) + smoothing / 2
            parts = [soft, 1 - soft]
        elif loss.is_categorical and target.kind in ("one_hot", "probabilities"):
            parts = [values * (1 - smoothing) + smoothing / target.width]
        else:
            continue
        weights = np.ones(len(values)) if target.weights is None else target.weights
        weights = weights.reshape(-1, *[1] * (values.ndim - 1))
        entropy = sum(-part * np.log(np.clip(part, 1e-12, 1)) for part in parts)
        size = values.size if loss.is_binary else values.size / target.width
        total += loss.weight * float((weights * entropy).sum() / size)
    return total


def uniform_loss(loss: LossFacts, units: int | None) -> float | None:
    """Returns the loss of a classifier that gives all classes the same probability."""
    if loss.is_binary and loss.name == "binary_crossentropy":
        return math.log(2)
    if (loss.is_sparse or loss.name == "categorical_crossentropy") and units:
        return math.log(units)
    return None


def _categorical(loss: LossFacts, target: TargetFacts, weights) -> float | None:
    if loss.name == "categorical_focal_crossentropy":
        return None
    if target.kind in ("one_hot", "probabilities"):
        rows = target.values.reshape(-1, target.width)
        rows = rows * (1 - loss.label_smoothing) + loss.label_smoothing / target.width
    elif target.kind in ("class_ids", "binary"):
        classes = target.values.reshape(-1).astype("int64")
        rows = np.eye(int(classes.max()) + 1)[classes]
    else:
        return None
    each = np.broadcast_to(weights, target.values.shape).reshape(len(rows), -1)[:, :1]
    mass = (each * rows).sum(axis=0)
    shares = mass / max(mass.sum(), 1e-12)
    return float(-(mass * np.log(np.maximum(shares, 1e-12))).sum() / len(rows))


def _binary(loss: LossFacts, values: np.ndarray, weights) -> float | None:
    if values.min() < 0 or values.max() > 1:
        return None
    values = values * (1 - loss.label_smoothing) + loss.label_smoothing / 2
    weights = np.broadcast_to(weights, values.shape)
    ones, zeros = (weights * values).sum(axis=0), (weights * (1 - values)).sum(axis=0)
    share = np.clip(ones / np.maximum(ones + zeros, 1e-12), 1e-12, 1 - 1e-12)
    loss_sum = -(ones * np.log(share) + zeros * np.log(1 - share)).sum()
    return float(loss_sum / values.size)
