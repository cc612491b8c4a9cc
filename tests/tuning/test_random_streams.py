import numpy as np
import pytest

from tuning.random_streams import seed, uniform

pytestmark = pytest.mark.one_backend


def test_draws_are_uniform():
    draws = np.array([uniform(0, trial, "x") for trial in range(4000)])
    assert draws.min() >= 0
    assert draws.max() < 1
    counts, _ = np.histogram(draws, 20, (0, 1))
    # Chi-squared of 19 degrees of freedom: below 43.8 with probability 0.999.
    assert ((counts - 200) ** 2 / 200).sum() < 43.8


def test_neighbours_are_independent():
    names = ("units", "rate")
    table = np.array(
        [[uniform(s, t, n) for t in range(500)] for s in range(4) for n in names]
    )
    assert len(np.unique(table)) == table.size
    correlations = np.corrcoef(table)[np.triu_indices(len(table), 1)]
    assert np.abs(correlations).max() < 4 / np.sqrt(500)


def test_a_key_is_not_the_text_of_its_parts():
    assert uniform(1, 11, "x") != uniform(11, 1, "x")
    assert uniform(0, 1, "a", "b") != uniform(0, 1, "a, b")


def test_seeds_are_what_keras_takes():
    seeds = [seed(0, trial) for trial in range(100)]
    assert len(set(seeds)) == 100
    assert min(seeds) >= 0
    assert max(seeds) < 2**31
