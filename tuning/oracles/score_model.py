"""Model that predicts which values lead to good scores."""

from collections.abc import Sequence

import numpy as np
from keras_tuner.engine.hyperparameters import HyperParameter
from scipy import stats

from ..hyperparameters.probability import is_ordered, to_probability
from ..trials.search_trial import SearchTrial

INVERSE_LENGTHS = (0.05, 0.3, 1.0, 2.0, 4.0, 8.0)
NOISES = (1e-3, 1e-2, 0.1, 0.5)  # variances, relative to that of the scores
RELEVANT = 0.5  # larger inverse lengths are penalized, as few values usually matter
PENALTY = 0.3  # in nats
SWEEPS = 2


class ScoreModel:
    """Gaussian process that predicts the scores of trials from their values.

    The kernel is of the Matérn class with smoothness 5/2 and has one length scale per
    hyperparameter, as recommended by Snoek et al., "Practical Bayesian Optimization of
    Machine Learning Algorithms" (2012, section 3.1). Because all values enter one
    distance, the model can represent interactions, such as a different best learning
    rate for each optimizer. Length scales and noise maximize the marginal likelihood on
    a small grid, one at a time, so that the result depends only on the trials.

    The model predicts normal scores: ranks, converted to quantiles of the normal
    distribution. A single diverged trial therefore does not dominate.

    Args:
        space: Hyperparameters.
        trials: Finished trials, at least two.
        ranks: Ranks of the trials, where lower is better.
    """

    def __init__(
        self,
        space: Sequence[HyperParameter],
        trials: Sequence[SearchTrial],
        ranks: np.ndarray,
    ):
        self.space = space
        self._x = self._features(trials)
        levels = (stats.rankdata(ranks) - 0.5) / len(ranks)
        self._y = stats.norm.ppf(levels)
        self._y -= self._y.mean()
        self._fit()

    def predict(self, trials: Sequence[SearchTrial]) -> np.ndarray:
        """Returns the expected normal scores of trials, where lower is better."""
        return _kernel(self._features(trials), self._x, self._scales) @ self._solved

    def _features(self, trials: Sequence[SearchTrial]) -> list[np.ndarray]:
        """Returns an array of shape `(trials, dimensions)` for each hyperparameter.

        Ordered values are represented by their position in [0, 1], and categorical
        values by one-hot vectors. Inactive hyperparameters are in the middle.
        """
        return [
            np.array([_coordinates(hp, trial) for trial in trials]) for hp in self.space
        ]

    def _fit(self) -> None:
        scales, noise = np.ones(len(self.space)), 0.1
        least = self._misfit(scales, noise)
        for _ in range(SWEEPS):
            for index in range(len(scales)):
                for scale in INVERSE_LENGTHS:
                    changed = scales.copy()
                    changed[index] = scale
                    misfit = self._misfit(changed, noise)
                    if misfit < least:
                        least, scales = misfit, changed
            for other in NOISES:
                misfit = self._misfit(scales, other)
                if misfit < least:
                    least, noise = misfit, other
        self._scales = scales
        self._solved = np.linalg.solve(self._covariance(scales, noise), self._y)

    def _misfit(self, scales: np.ndarray, noise: float) -> float:
        """Returns the penalized negative log likelihood, up to a constant.

        The variance of the process has been maximized analytically.
        """
        factor = np.linalg.cholesky(self._covariance(scales, noise))
        residual = np.linalg.solve(factor, self._y)
        count = len(self._y)
        variance = max(residual @ residual / count, 1e-12)  # 0 if all ranks are equal
        likelihood = count / 2 * np.log(variance) + np.log(np.diag(factor)).sum()
        return float(likelihood + PENALTY * (scales > RELEVANT).sum())

    def _covariance(self, scales: np.ndarray, noise: float) -> np.ndarray:
        return _kernel(self._x, self._x, scales) + noise * np.eye(len(self._y))


def _kernel(a: list[np.ndarray], b: list[np.ndarray], scales: np.ndarray) -> np.ndarray:
    squares = sum(
        scale**2 * ((own[:, None] - other[None]) ** 2).sum(-1)
        for own, other, scale in zip(a, b, scales, strict=True)
    )
    distance = np.sqrt(5 * squares)
    return (1 + distance + distance**2 / 3) * np.exp(-distance)


def _coordinates(hp: HyperParameter, trial: SearchTrial) -> list[float]:
    value = trial.hyperparameters.values.unrecorded().get(hp.name)
    is_active = trial.has(hp)
    if is_ordered(hp):
        return [to_probability(hp, value) if is_active else 0.5]
    if not is_active:
        return [1 / len(hp.values)] * len(hp.values)
    return [float(value == choice) for choice in hp.values]
