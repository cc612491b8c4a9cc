"""Tests on a sample whether the targets depend on the inputs at all."""

from dataclasses import dataclass

import numpy as np

MIN_EXAMPLES = 400  # fewer cannot show that a dependence is missing
MAX_FEATURES = 512  # more are projected at random
MAX_ROWS = 1500
FOLDS = 3


@dataclass(frozen=True)
class Dependence:
    """Scores of simple models on held-out examples.

    Attributes:
        linear: Score of a linear model.
        forest: Score of a forest of random trees.
        neighbors: Score of the nearest neighbors.
        trivial: Score of the most frequent class, or of the mean.
        deviation: Standard deviation of a score that is due to chance.
        examples: Number of examples.
        is_accuracy: Whether scores are accuracies; otherwise they are coefficients of
            determination.
    """

    linear: float
    forest: float
    neighbors: float
    trivial: float
    deviation: float
    examples: int
    is_accuracy: bool

    @property
    def best(self) -> float:
        """Best score of all models."""
        return max(self.linear, self.forest, self.neighbors)


def measure_dependence(x: list, classes, values: np.ndarray) -> Dependence | None:
    """Fits simple models to a sample, and scores them on held-out examples.

    The three models see different kinds of dependence: the linear model sees trends,
    the forest interactions of single features, and neighbors clusters.

    Args:
        x: List of the inputs as arrays.
        classes: Class of each example, or `None` for a regression.
        values: Targets.

    Returns:
        The scores, or `None` if the sample is too small or has no numbers.
    """
    from sklearn.ensemble import ExtraTreesClassifier, ExtraTreesRegressor
    from sklearn.linear_model import Ridge, RidgeClassifier
    from sklearn.model_selection import KFold, cross_val_score
    from sklearn.neighbors import KNeighborsClassifier, KNeighborsRegressor
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    if any(array.dtype.kind not in "biuf" for array in x) or len(x[0]) < MIN_EXAMPLES:
        return None
    features = _features(x)[:MAX_ROWS]
    is_accuracy = classes is not None
    target = classes if is_accuracy else values.reshape(len(values), -1)[:, 0]
    target = target[:MAX_ROWS]
    if len(np.unique(target)) < 2:
        return None
    if is_accuracy:
        forest = ExtraTreesClassifier(60, min_samples_leaf=2, random_state=0)
        linear, neighbors = RidgeClassifier(10.0), KNeighborsClassifier(10)
        _, counts = np.unique(target, return_counts=True)
        trivial = counts.max() / counts.sum()
        deviation = np.sqrt(trivial * (1 - trivial) / len(target))
    else:
        forest = ExtraTreesRegressor(60, min_samples_leaf=2, random_state=0)
        linear, neighbors = Ridge(10.0), KNeighborsRegressor(10)
        # The sum of squares that is explained by chance has one degree of freedom.
        trivial, deviation = 0.0, 1 / np.sqrt(len(target))
    folds = KFold(FOLDS, shuffle=True, random_state=0)

    def score(model) -> float:
        pipeline = make_pipeline(StandardScaler(), model)
        return float(np.mean(cross_val_score(pipeline, features, target, cv=folds)))

    return Dependence(
        linear=score(linear),
        forest=score(forest),
        neighbors=score(neighbors),
        trivial=float(trivial),
        deviation=float(deviation),
        examples=len(target),
        is_accuracy=is_accuracy,
    )


def _features(x: list) -> np.ndarray:
    """Returns a matrix of features; whole numbers up to many are counted like words."""
    parts = []
    for array in x:
        rows = np.nan_to_num(array.reshape(len(array), -1).astype("float64"))
        is_ids = array.ndim == 2 and (rows == rows.round()).all() and rows.max() > 255
        parts.append(_counts(rows) if is_ids and rows.min() >= 0 else rows)
    features = np.concatenate(parts, axis=1)
    if features.shape[1] <= MAX_FEATURES:
        return features
    scale = features.std(axis=0)
    features = (features - features.mean(axis=0)) / np.where(scale > 0, scale, 1)
    _, _, axes = np.linalg.svd(features[:MAX_ROWS], full_matrices=False)
    return features @ axes[: MAX_FEATURES // 4].T


def _counts(ids: np.ndarray) -> np.ndarray:
    """Returns how often each of the most frequent ids occurs in each row."""
    values, counts = np.unique(ids, return_counts=True)
    frequent = values[np.argsort(-counts)][:MAX_FEATURES]
    return np.stack([(ids == one).sum(axis=1) for one in frequent], axis=1)
