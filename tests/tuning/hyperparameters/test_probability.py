import math

import numpy as np
import pytest
from keras_tuner.engine import hyperparameters as kt

from tuning.hyperparameters.probability import to_probability, to_values

pytestmark = pytest.mark.one_backend

SPACE = {
    "float": kt.Float("x", -2.0, 5.0),
    "log": kt.Float("x", 1e-6, 10.0, sampling="log"),
    "reverse_log": kt.Float("x", 1.0, 100.0, sampling="reverse_log"),
    "steps": kt.Float("x", 0.0, 1.0, step=0.1),
    "log_steps": kt.Float("x", 1e-4, 1.0, step=10, sampling="log"),
    "int": kt.Int("x", 1, 4),
    "int_steps": kt.Int("x", 16, 64, step=16),
    "int_log": kt.Int("x", 32, 1024, sampling="log"),
    "int_powers": kt.Int("x", 32, 512, step=2, sampling="log"),
    "choice": kt.Choice("x", [32, 64, 128]),
    "names": kt.Choice("x", ["relu", "tanh"]),
    "bool": kt.Boolean("x"),
}


@pytest.mark.parametrize("name", SPACE)
def test_a_value_comes_back(name):
    hp = SPACE[name]
    for probability in np.linspace(0, 0.999, 50):
        value = hp.prob_to_value(probability)
        back = to_probability(hp, value)
        assert 0 <= back <= 1
        if name == "bool":  # whose values are not in the order of its probabilities
            continue
        again = hp.prob_to_value(back)
        assert again == pytest.approx(value) if name != "names" else again == value


def test_a_log_scale_is_logarithmic():
    hp = SPACE["log"]
    for exponent in range(-6, 2):
        expected = (exponent + 6) / 7
        assert to_probability(hp, 10.0**exponent) == pytest.approx(expected)
    assert to_values(hp, (0.0, 1.0)) == (1e-6, 10.0)
    assert math.log10(to_values(hp, (1 / 7, 2 / 7))[1]) == pytest.approx(-4)


def test_steps_of_a_tenth_are_told_apart():
    # KerasTuner's own counting takes 0.3 for two steps: 0.3 // 0.1 is 2.
    probabilities = [to_probability(SPACE["steps"], step / 10) for step in range(10)]
    assert probabilities == pytest.approx((np.arange(10) + 0.5) / 10)


@pytest.mark.parametrize(
    ("name", "value"), [("float", 5.1), ("choice", 33), ("steps", 0.25), ("int", 0)]
)
def test_a_value_outside_is_named(name, value):
    with pytest.raises(ValueError, match=f"Received: x={value}"):
        to_probability(SPACE[name], value)
