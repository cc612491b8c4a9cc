import math

import keras_tuner
import numpy as np
import pytest

from tuning.training.median_rule import MedianRule


@pytest.mark.parametrize("direction", ["min", "max"])
@pytest.mark.parametrize("count", [5, 8])
def test_it_compares_with_the_median_of_what_the_others_had_reached(direction, count):
    curves = np.random.default_rng(count).normal(size=(count, 6))
    rule = MedianRule(keras_tuner.Objective("score", direction))
    for curve in curves:
        rule.add(curve.tolist())
    best = np.max if direction == "max" else np.min
    sign = 1 if direction == "max" else -1
    for epoch in range(1, 6):
        median = np.median(best(curves[:, : epoch + 1], axis=1))
        assert rule.reason(epoch, median + sign * 1e-9) is None
        assert f"median {median:.4g}" in rule.reason(epoch, median - sign * 1e-9)


def test_it_needs_five_others_a_second_epoch_and_their_values():
    rule = MedianRule(keras_tuner.Objective("loss", "min"))
    for _ in range(4):
        rule.add([1.0, 1.0])
    rule.add([math.nan, math.nan, 1.0])
    assert rule.reason(1, 9.0) is None
    rule.add([math.nan, 1.0])
    assert rule.reason(1, 9.0)
    assert rule.reason(0, 9.0) is None
    assert rule.reason(2, 9.0) is None
