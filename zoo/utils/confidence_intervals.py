"""Confidence intervals for proportions and for differences between proportions."""

import math

NORMAL_95 = 1.959964  # the 97.5 % quantile of the standard normal distribution


def wilson_interval(correct: int, total: int) -> tuple[float, float]:
    """Returns the 95 % confidence interval for a proportion.

    This is the score interval of Wilson, "Probable Inference, the Law of Succession,
    and Statistical Inference" (1927). Unlike the normal approximation, this interval is
    valid for small samples and for proportions of 0 and 1.

    Example:

    >>> [round(bound, 4) for bound in wilson_interval(8, 10)]
    [0.4902, 0.9433]
    """
    share, square = correct / total, NORMAL_95**2
    center = (share + square / (2 * total)) / (1 + square / total)
    spread = math.sqrt(share * (1 - share) / total + square / (4 * total**2))
    half = NORMAL_95 * spread / (1 + square / total)
    return max(0.0, center - half), min(1.0, center + half)


def paired_interval(both: int, first: int, second: int, neither: int) -> tuple:
    """Returns the 95 % confidence interval for a difference of paired proportions.

    The proportions are measured on the same examples. The result refers to the
    proportion of the second measurement minus that of the first. This is method 10 of
    Newcombe, "Improved Confidence Intervals for the Difference between Binomial
    Proportions Based on Paired Data" (1998), which combines the Wilson intervals of
    both proportions, and takes their correlation into account.

    Args:
        both: Number of examples that are positive in both measurements.
        first: Number of examples that are positive only in the first.
        second: Number of examples that are positive only in the second.
        neither: Number of examples that are positive in neither.

    Example:

    >>> [round(bound, 4) for bound in paired_interval(36, 12, 2, 0)]
    [-0.3404, -0.0569]
    """
    total = both + first + second + neither
    shares = (both + first) / total, (both + second) / total
    limits = [wilson_interval(one, total) for one in (both + first, both + second)]
    (low, low_second), (high, high_second) = zip(*limits, strict=True)
    correlation = _correlation(both, first, second, neither)

    def width(one: float, other: float) -> float:
        squares = one**2 - 2 * correlation * one * other + other**2
        return math.sqrt(max(squares, 0.0))

    difference = shares[1] - shares[0]
    below = width(shares[1] - low_second, high - shares[0])
    above = width(high_second - shares[1], shares[0] - low)
    return difference - below, difference + above


def _correlation(both: int, first: int, second: int, neither: int) -> float:
    """Returns the phi coefficient, with Newcombe's continuity correction."""
    product = (both + first) * (second + neither) * (both + second) * (first + neither)
    if not product:
        return 0.0
    covariance = float(both * neither - first * second)
    if covariance > 0:
        covariance = max(covariance - (both + first + second + neither) / 2, 0.0)
    return covariance / math.sqrt(product)
