import keras_tuner
import numpy as np
import pytest

from tuning import zero_or_log_uniform
from tuning.hyperparameters.drawn_hyperparameters import DrawnHyperParameters
from tuning.random_streams import uniform

pytestmark = pytest.mark.one_backend


def test_half_is_zero_and_the_rest_log_uniform():
    values = []
    for trial in range(1000):
        hp = DrawnHyperParameters()
        hp.draw = lambda p, t=trial: p.prob_to_value(uniform(t, p.name))
        values.append(zero_or_log_uniform(hp, "decay", 1e-4, 1.0))
        assert ("decay" in hp.values) == (values[-1] > 0)
    values = np.array(values)
    assert 440 < (values == 0).sum() < 560
    exponents = np.log10(values[values > 0])
    counts, _ = np.histogram(exponents, 4, (-4, 0))
    assert counts.sum() == len(exponents)
    assert counts.min() > 0.75 * len(exponents) / 4


@pytest.mark.parametrize("default", [0.0, 0.01])
def test_the_default_is_the_first(default):
    hp = keras_tuner.HyperParameters()
    assert zero_or_log_uniform(hp, "decay", 1e-4, 1, default=default) == default


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 1), "`low`. Expected a number > 0 for 'decay'"),
        ((1e-3, -1), "`high`. Expected a number > 0 for 'decay'"),
        ((1, 0.1), "above min_value=1 of hyperparameter 'decay'"),
        ((0.1, 1, 2), "`default`. Expected 0, or a number from 0.1 to 1"),
    ],
)
def test_bad_ranges_are_named(arguments, message):
    low, high, *default = arguments
    with pytest.raises(ValueError, match=message):
        zero_or_log_uniform(
            keras_tuner.HyperParameters(),
            "decay",
            low,
            high,
            **dict(zip(["default"], default, strict=False)),
        )
