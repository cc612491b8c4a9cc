import numpy as np
import pytest

from zoo.utils.confidence_intervals import paired_interval, wilson_interval

pytestmark = pytest.mark.one_backend


def test_the_interval_of_wilson():
    """Newcombe (1998), table I: 81 of 263 gives 0.2553 to 0.3662."""
    low, high = wilson_interval(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
    assert wilson_interval(0, 10)[0] == 0.0
    assert wilson_interval(10, 10)[1] == pytest.approx(1.0)


def test_the_paired_interval_of_newcombe():
    """Newcombe (1998), method 10: 0.0569 to 0.3404; here with the opposite sign."""
    low, high = paired_interval(36, 12, 2, 0)
    assert (round(low, 4), round(high, 4)) == (-0.3404, -0.0569)
    swapped = paired_interval(36, 2, 12, 0)
    np.testing.assert_allclose(swapped, (-high, -low))
    low, high = paired_interval(50, 0, 0, 0)  # no differences, and still uncertain
    assert low == pytest.approx(-high)
    assert high > 0


def test_the_paired_interval_covers_the_true_difference():
    generator = np.random.default_rng(0)
    shares = [0.5, 0.1, 0.15, 0.25]
    tables = generator.multinomial(100, shares, size=2000)
    intervals = np.array([paired_interval(*map(int, table)) for table in tables])
    covers = (intervals[:, 0] < 0.05) & (intervals[:, 1] > 0.05)
    assert 0.93 < covers.mean() < 0.975
    assert np.ptp(intervals, axis=1).mean() < 0.25  # unpaired: 1.96 * 0.07 * 2 = 0.27
