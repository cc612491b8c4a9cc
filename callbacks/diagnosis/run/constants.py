"""Constant and perfect predictions for the losses of Keras."""

import math

import numpy as np

from ..reading.loss_facts import LossFacts

EPSILON = 1e-7  # Keras clips probabilities to [EPSILON, 1 - EPSILON]
MANY = 20  # examples of each class, of which the frequencies are better than equal ones
PRIOR = 0.5  # examples of each class that are added (Krichevsky & Trofimov, 1981)


def constants(
    loss: LossFacts, values: np.ndarray, weights: np.ndarray, shape: tuple[int, ...]
) -> list[np.ndarray]:
    """Returns constant predictions, one of which is the best one or close to it.

    Args:
        loss: Loss of the output.
        values: Targets, of shape `(examples, ...)`.
        weights: Weights of the targets; their shape is a prefix of that of the targets.
        shape: Shape of one prediction.

    Returns:
        A list of arrays that broadcast to `shape`; empty if no constant is known to be
        good.
    """
    if loss.is_sparse:
        shares = _shares_of_ids(loss, values, weights, shape)
        return _with_uniform(loss, shares, math.prod(values.shape), shape[-1])
    columns = values.reshape(len(values), *shape)
    weights = _broadcast(weights, columns)
    if loss.is_categorical:
        rows, weights = columns.reshape(-1, shape[-1]), weights.reshape(-1, shape[-1])
        shares = _smooth(loss, _mean(rows, weights, PRIOR, 1 / shape[-1]))
        return _with_uniform(loss, shares, len(rows), shape[-1])
    if loss.is_binary:
        shares = _smooth(loss, _mean(columns, weights, PRIOR, 0.5))
        return _with_uniform(loss, shares, len(columns), 2)
    mean = _mean(columns, weights)
    match loss.name:
        case "mean_squared_error" | "poisson" | "kl_divergence":
            return [mean]
        case "mean_absolute_error":
            return [_median(columns, weights)]
        case "huber" | "log_cosh":  # quadratic near zero, linear far from it
            return [mean, _median(columns, weights)]
        case "mean_absolute_percentage_error":
            size = np.maximum(np.abs(columns), EPSILON)
            return [_median(columns, weights / size)]
        case "mean_squared_logarithmic_error":
            logs = np.log1p(np.maximum(columns, EPSILON))
            return [np.expm1(_mean(logs, weights))]
        case "hinge" | "squared_hinge":  # Keras turns labels 0 into -1
            signs = _mean(np.where(columns > 0, 1.0, -1.0), weights)
            return [signs, np.where(signs > 0, 1.0, -1.0)]
    return []


def perfect(loss: LossFacts, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """Returns the predictions with the smallest loss, of shape `(examples, *shape)`.

    Their loss is not zero for soft targets, such as gray pixels or smoothed labels.
    """
    if loss.is_sparse:
        ids = values.reshape(len(values), *shape[:-1]).astype("int64")
        return as_prediction(loss, (ids[..., None] == np.arange(shape[-1])) * 1.0)
    columns = values.reshape(len(values), *shape)
    if loss.is_categorical or loss.is_binary:
        return as_prediction(loss, _smooth(loss, columns))
    if loss.name in ("hinge", "squared_hinge"):
        return np.where(columns > 0, 1.0, -1.0)
    return columns


def as_prediction(loss: LossFacts, shares: np.ndarray) -> np.ndarray:
    """Converts probabilities to logits if the loss expects logits."""
    shares = np.clip(shares, EPSILON, 1 - EPSILON)
    if not loss.from_logits:
        return shares
    return np.log(shares) - (np.log1p(-shares) if loss.is_binary else 0.0)


def _with_uniform(loss: LossFacts, shares, examples: int, classes: int) -> list:
    """Adds equal probabilities, which are better than those of few examples."""
    found = [shares]
    if examples < MANY * classes or "focal" in (loss.name or ""):
        found.append(np.full_like(shares, 1 / classes))
    return [as_prediction(loss, one) for one in found]


def _smooth(loss: LossFacts, shares: np.ndarray) -> np.ndarray:
    classes = 2 if loss.is_binary else shares.shape[-1]
    return shares * (1 - loss.label_smoothing) + loss.label_smoothing / classes


def _shares_of_ids(loss: LossFacts, values, weights, shape) -> np.ndarray:
    ids = values.reshape(len(values), *shape[:-1]).astype("int64")
    weights = _broadcast(weights, ids).reshape(-1)
    ids = ids.reshape(-1)
    seen = (ids >= 0) & (ids < shape[-1])
    seen &= ids != loss.ignore_class
    counts = np.bincount(ids[seen], weights[seen], minlength=shape[-1])
    counts = counts + PRIOR * counts.sum() / max(1, seen.sum())
    return counts / max(counts.sum(), EPSILON)


def _broadcast(weights: np.ndarray, values: np.ndarray) -> np.ndarray:
    missing = values.ndim - weights.ndim
    weights = weights.reshape(*weights.shape, *[1] * max(0, missing))
    if missing < 0:  # weights of shape (examples, 1) for values of shape (examples,)
        weights = weights.reshape(values.shape)
    return np.broadcast_to(weights, values.shape)


def _mean(values, weights, prior: float = 0.0, center: float = 0.0) -> np.ndarray:
    """Returns weighted means over the examples, with `prior` examples at `center`."""
    total = weights.sum(axis=0)
    added = prior * total / len(values)
    sums = (weights * values).sum(axis=0) + added * center
    return sums / np.maximum(total + added, EPSILON)


def _median(values, weights) -> np.ndarray:
    order = np.argsort(values, axis=0)
    values = np.take_along_axis(values, order, axis=0)
    mass = np.cumsum(np.take_along_axis(weights, order, axis=0), axis=0)
    index = np.argmax(mass >= mass[-1:] / 2, axis=0)
    return np.take_along_axis(values, index[None], axis=0)[0]
