"""Tests on a sample whether the targets depend on the inputs at all."""

import warnings
from dataclasses import dataclass

import numpy as np

from ..reading.graph import Node
from ..reading.model_facts import ModelFacts
from .rows import row_hashes

MIN_EXAMPLES = 400  # fewer cannot show that a dependence is missing
MIN_PER_CLASS = 10
MAX_FEATURES = 512  # more are projected on their main axes
MAX_ROWS = 1500
FOLDS = 3
PERMUTATIONS = 100
MIX = 0.05  # of the class frequencies in predicted probabilities, none of which is 0
SURE = 4.0  # standard deviations that chance does not explain


@dataclass(frozen=True)
class Dependence:
    """Scores of simple models on held-out examples.

    A score is the share of the loss of a constant predictor that the model removes: of
    the log loss for classes (McFadden, 1974), and of the squared error otherwise, where
    it is the coefficient of determination. 0 is no better than a constant, and 1 is
    perfect.

    Attributes:
        linear: Score of a linear model.
        forest: Score of a forest of random trees.
        neighbors: Score of the nearest neighbors.
        trivial: Mean score that the predictions of the most significant model have for
            permuted targets.
        deviation: Standard deviation of this score.
        examples: Number of examples.
        significance: Number of these deviations by which the score of the most
            significant model exceeds `trivial`.
    """

    linear: float
    forest: float
    neighbors: float
    trivial: float
    deviation: float
    examples: int
    significance: float = float("inf")

    @property
    def best(self) -> float:
        """Best score of all models."""
        return max(self.linear, self.forest, self.neighbors)

    @property
    def is_certain(self) -> bool:
        """Whether a simple model certainly does better than by chance."""
        return self.significance > SURE and self.best > self.trivial


def applies_to(model: ModelFacts) -> bool:
    """Returns whether simple models can be fitted to the data of a model.

    It must have one input and one output.
    """
    graph = model.graph
    return graph is not None and len(graph.inputs) == 1 and len(model.losses) == 1


def sees_all(model: ModelFacts) -> bool:
    """Returns whether simple models can see what a model sees.

    Ridge regression, trees and neighbors take features of a table as they are. They
    know neither the order in a sequence nor objects at any place of an image. So they
    show only what a model that begins with other than dense layers should at least
    reach, and not what is possible.
    """
    if not applies_to(model):
        return False
    kinds = {one.kind for one in _nodes(model) if one.role in ("kernel", "unknown")}
    others = [one for one in _nodes(model) if one.role in ("recurrent", "embedding")]
    return not others and kinds == {"Dense"}


def reads_ids(model: ModelFacts) -> bool:
    """Returns whether a model looks up its inputs in an embedding."""
    return any(one.role == "embedding" for one in _nodes(model))


def _nodes(model: ModelFacts) -> tuple[Node, ...]:
    return () if model.graph is None else tuple(model.graph.nodes)


def measure_dependence(
    x: np.ndarray,
    classes: np.ndarray | None,
    values: np.ndarray,
    *,
    has_ids: bool = False,
) -> Dependence | None:
    """Fits simple models to a sample, and scores them on held-out examples.

    The three models see different kinds of dependence: the linear model sees trends,
    the forest interactions of single features, and neighbors clusters. The predictions
    for held-out examples do not depend on their targets, so scores for permuted targets
    show what chance does.

    Args:
        x: Inputs.
        classes: Class of each example, or `None` for a regression.
        values: Target of each example.
        has_ids: Whether the inputs are ids, such as those of words. The features are
            then which of the most frequent ids an example contains. Defaults to
            `False`.

    Returns:
        The scores, or `None` if the sample is too small or has no numbers. Repeated
        examples are left out.
    """
    target = values if classes is None else classes
    if x.dtype.kind not in "biuf" or len(x) < MIN_EXAMPLES:
        return None
    rows = row_hashes((x, target))
    distinct = np.sort(np.unique(rows, return_index=True)[1])[:MAX_ROWS]
    x, target = x[distinct], target[distinct]
    features = _features(_has_id(x) if has_ids else x)
    kinds = np.unique(target)
    if len(target) < MIN_EXAMPLES or len(kinds) < 2:
        return None
    if classes is not None and len(target) < MIN_PER_CLASS * len(kinds):
        return None
    folds = np.random.default_rng(0).permutation(len(target)) % FOLDS
    losses_of = _squared_errors if classes is None else _log_losses
    if classes is not None:
        target = np.searchsorted(kinds, target)
    found = [
        _score(losses_of(model, features, target, folds), folds)
        for model in _models(classes is not None)
    ]
    scores, means, deviations = zip(*found, strict=True)
    significance = [
        (score - mean) / max(deviation, 1e-12)
        for score, mean, deviation in zip(scores, means, deviations, strict=True)
    ]
    most = int(np.argmax(significance))
    return Dependence(
        linear=scores[0],
        forest=scores[1],
        neighbors=scores[2],
        trivial=means[most],
        deviation=deviations[most],
        examples=len(target),
        significance=significance[most],
    )


def _models(has_classes: bool) -> list:
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.linear_model import LogisticRegression, Ridge
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor

    trees = {"n_estimators": 60, "min_samples_leaf": 5, "random_state": 0}
    if has_classes:
        return [
            LogisticRegression(C=0.1, max_iter=200),
            ExtraTreesClassifier(**trees),
            KNeighborsClassifier(20),
        ]
    return [Ridge(10.0), ExtraTreesRegressor(**trees), KNeighborsRegressor(10)]


def _fitted(model, features, target, folds):
    """Yields the held-out indices of each fold, and a model fitted to the others."""
    from sklearn.base import clone

    for fold in range(FOLDS):
        inside = folds != fold
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an early stop is good enough
            yield (
                np.flatnonzero(~inside),
                inside,
                clone(model).fit(features[inside], target[inside]),
            )


def _log_losses(model, features, target, folds) -> tuple:
    """Returns the targets, a function of targets, and a number.

    The function returns the loss of the model for held-out examples with these targets,
    and the number is the loss of a constant.
    """
    number = int(target.max()) + 1
    shares = np.zeros((len(target), number))
    constants = np.zeros((len(target), number))
    for held_out, inside, fitted in _fitted(model, features, target, folds):
        prior = np.bincount(target[inside], minlength=number) + 0.5
        constants[held_out] = prior / prior.sum()
        rows = np.zeros((len(held_out), number))
        rows[:, fitted.classes_] = fitted.predict_proba(features[held_out])
        shares[held_out] = (1 - MIX) * rows + MIX * constants[held_out]
    index = np.arange(len(target))
    return (
        target,
        lambda one: -np.log(shares[index, one]).mean(),
        -np.log(constants[index, target]).mean(),
    )


def _squared_errors(model, features, target, folds) -> tuple:
    """Returns the same as `_log_losses`, for a regression."""
    predicted, means = np.zeros(len(target)), np.zeros(len(target))
    for held_out, inside, fitted in _fitted(model, features, target, folds):
        predicted[held_out] = fitted.predict(features[held_out])
        means[held_out] = target[inside].mean()
    return (
        target,
        lambda one: ((one - predicted) ** 2).mean(),
        ((target - means) ** 2).mean(),
    )


def _score(losses: tuple, folds) -> tuple[float, float, float]:
    """Returns a score, and the mean and the deviation of scores by chance."""
    target, loss_of, constant = losses
    rng = np.random.default_rng(0)
    by_chance = []
    for _ in range(PERMUTATIONS):
        permuted = target.copy()
        for fold in range(FOLDS):
            held_out = folds == fold
            permuted[held_out] = rng.permutation(target[held_out])
        by_chance.append(1 - loss_of(permuted) / constant)
    score = 1 - loss_of(target) / constant
    return float(score), float(np.mean(by_chance)), float(np.std(by_chance))


def _has_id(x: np.ndarray) -> np.ndarray:
    """Returns which of the most frequent ids each example contains."""
    rows = x.reshape(len(x), -1)
    ids, counts = np.unique(rows, return_counts=True)
    frequent = np.sort(ids[np.argsort(-counts, kind="stable")][:MAX_FEATURES])
    found = np.searchsorted(frequent, rows).clip(max=len(frequent) - 1)
    example, column = np.nonzero(frequent[found] == rows)
    features = np.zeros((len(x), len(frequent)))
    features[example, found[example, column]] = 1
    return features


def _features(x: np.ndarray) -> np.ndarray:
    """Returns a matrix of standardized features."""
    rows = np.nan_to_num(x.reshape(len(x), -1).astype("float64"))
    scale = rows.std(axis=0)
    features = (rows - rows.mean(axis=0)) / np.where(scale > 0, scale, 1)
    if features.shape[1] <= MAX_FEATURES:
        return features
    _, _, axes = np.linalg.svd(features, full_matrices=False)
    return features @ axes[: MAX_FEATURES // 4].T
