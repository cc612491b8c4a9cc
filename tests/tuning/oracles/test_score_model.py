import numpy as np
import pytest
from keras_tuner.engine.hyperparameters import Choice, Float
from scipy import stats

from tuning.hyperparameters.drawn_hyperparameters import DrawnHyperParameters
from tuning.oracles.score_model import ScoreModel
from tuning.trials.search_trial import SearchTrial

pytestmark = pytest.mark.one_backend

SPACE = [
    Float("rate", 1e-6, 1.0, sampling="log"),
    Float("unused", 0.0, 1.0),
    Choice("optimizer", ["adam", "sgd"]),
]


def trials_of(number, seed):
    generator = np.random.default_rng(seed)
    trials = []
    for index in range(number):
        values = {
            "rate": 10 ** generator.uniform(-6, 0),
            "unused": generator.random(),
            "optimizer": ("adam", "sgd")[generator.integers(2)],
        }
        hyperparameters = DrawnHyperParameters.of(SPACE, values)
        trials.append(SearchTrial(hyperparameters, f"{index:04d}"))
    return trials


def losses_of(trials):
    """The best rate of SGD is 100 times that of Adam."""
    values = [trial.hyperparameters.values for trial in trials]
    best = {"adam": -4, "sgd": -2}
    return np.array(
        [abs(np.log10(each["rate"]) - best[each["optimizer"]]) for each in values]
    )


def test_predictions_rank_new_trials_by_a_rate_for_each_optimizer():
    seen, new = trials_of(40, seed=0), trials_of(100, seed=1)
    model = ScoreModel(SPACE, seen, losses_of(seen))
    predicted, true = model.predict(new), losses_of(new)
    assert stats.spearmanr(predicted, true).statistic > 0.9
    assert true[predicted.argmin()] < np.quantile(true, 0.15)


def test_equal_scores_give_equal_predictions():
    trials = trials_of(10, seed=0)
    predicted = ScoreModel(SPACE, trials, np.zeros(10)).predict(trials_of(5, seed=1))
    np.testing.assert_allclose(predicted, 0, atol=1e-12)
