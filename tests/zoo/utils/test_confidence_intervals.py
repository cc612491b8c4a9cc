import numpy as np
import pytest
from scipy import stats

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


@pytest.mark.parametrize(
    "table",
    [
        (36, 14, 0, 0),
        (20, 12, 2, 16),  # a covariance that exceeds the correction
        (20, 10, 9, 5),  # a positive covariance that the correction sets to zero
        (3, 20, 15, 2),  # a negative covariance, which is not corrected
        (0, 0, 7, 43),
        (97, 1, 2, 0),
    ],
)
def test_the_paired_interval_beside_its_formula(table):
    """Newcombe (1998), method 10, in its letters; the limits are those of SciPy."""
    e, f, g, h = table
    n = e + f + g + h
    limits = [
        stats.binomtest(count, n).proportion_ci(method="wilson")
        for count in (e + f, e + g)
    ]
    lower_2, upper_2, lower_3, upper_3 = (
        some for pair in limits for some in (pair.low, pair.high)
    )
    p_2, p_3 = (e + f) / n, (e + g) / n
    product = (e + f) * (g + h) * (e + g) * (f + h)
    numerator = e * h - f * g
    if numerator > 0:
        numerator = max(numerator - n / 2, 0)
    phi = numerator / np.sqrt(product) if product else 0
    dl_2, du_2, dl_3, du_3 = p_2 - lower_2, upper_2 - p_2, p_3 - lower_3, upper_3 - p_3
    delta = np.sqrt(dl_2**2 - 2 * phi * dl_2 * du_3 + du_3**2)
    epsilon = np.sqrt(du_2**2 - 2 * phi * du_2 * dl_3 + dl_3**2)
    theta = p_2 - p_3
    # The paper subtracts the second proportion from the first.
    expected = -(theta + epsilon), -(theta - delta)
    np.testing.assert_allclose(paired_interval(*table), expected, atol=1e-6)


def test_the_paired_interval_covers_the_true_difference():
    generator = np.random.default_rng(0)
    shares = [0.5, 0.1, 0.15, 0.25]
    tables = generator.multinomial(100, shares, size=2000)
    intervals = np.array([paired_interval(*map(int, table)) for table in tables])
    covers = (intervals[:, 0] < 0.05) & (intervals[:, 1] > 0.05)
    assert 0.93 < covers.mean() < 0.975
    assert np.ptp(intervals, axis=1).mean() < 0.25  # unpaired: 1.96 * 0.07 * 2 = 0.27
