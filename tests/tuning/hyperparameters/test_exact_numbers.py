import numpy as np
import pytest
from keras_tuner.engine import hyperparameters as kt

from tuning.hyperparameters.exact_numbers import exact

pytestmark = pytest.mark.one_backend

STEPS = [
    # Counted in hundredths, where integers are exact.
    *((0, 50, 10), (10, 70, 10), (0, 60, 20), (0, 90, 30), (0, 100, 10)),
    *((-30, 30, 10), (5, 100, 5), (0, 7, 1), (0, 100, 30), (20, 21, 1)),
]


@pytest.mark.parametrize(("low", "high", "step"), STEPS)
def test_floats_take_every_step_of_their_range(low, high, step):
    hp = exact(kt.Float("x", low / 100, high / 100, step=step / 100))
    expected = np.arange(low, high + 1, step) / 100
    np.testing.assert_allclose(hp.values, expected, atol=1e-12)
    assert min(hp.values) >= low / 100
    assert max(hp.values) <= high / 100
    drawn = {hp.prob_to_value(u) for u in np.linspace(0, 1 - 1e-9, 2000)}
    assert drawn == set(hp.values)
    if (high - low) % step == 0:
        assert max(hp.values) == high / 100


@pytest.mark.parametrize(
    ("hp", "expected"),
    [
        (kt.Int("x", 1, 10), range(1, 11)),
        (kt.Int("x", 6, 13, step=3), [6, 9, 12]),
        (kt.Int("x", 2, 32, step=2, sampling="log"), [2, 4, 8, 16, 32]),
        (kt.Int("x", 1, 1000, step=10, sampling="log"), [1, 10, 100, 1000]),
        (kt.Int("x", 1, 100, step=10, sampling="reverse_log"), [1, 91, 100]),
        (kt.Int("x", 3, 9, sampling="log"), range(3, 10)),
        (kt.Int("x", 3, 9, sampling="reverse_log"), range(3, 10)),
        (kt.Float("x", 0.001, 10, step=10, sampling="log"), 10.0 ** np.arange(-3, 2)),
    ],
)
def test_draws_are_the_values_of_the_range_and_no_other(hp, expected):
    hp = exact(hp)
    drawn = {hp.prob_to_value(u) for u in np.linspace(0, 1 - 1e-9, 5000)}
    np.testing.assert_allclose(sorted(drawn), list(expected))
    assert all(isinstance(value, type(hp.min_value)) for value in drawn)


def test_a_range_of_millions_of_integers_is_no_list():
    hp = exact(kt.Int("x", 1, 10**9))
    assert hp.values == range(1, 10**9 + 1)
    assert hp.prob_to_value(1 - 1e-12) == 10**9


@pytest.mark.parametrize(
    "hp",
    [
        kt.Float("x", 1e-6, 10.0, sampling="log"),
        kt.Float("x", 0.0, 2.0, step=0.25),
        kt.Int("x", 32, 1024, sampling="log"),
        kt.Int("x", 8, 64, step=8),
    ],
)
def test_where_kerastuner_is_right_the_draws_are_its_own(hp):
    for u in np.random.default_rng(0).random(500):
        assert exact(hp).prob_to_value(u) == hp.prob_to_value(u)
