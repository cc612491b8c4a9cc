"""How a range narrows around the best trials, where there is evidence for it.

All positions are probabilities, as `probability.to_probability` gives them, so that a
log scale stays logarithmic. The functions are pure: the same trials and the same seed
give the same decision.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

import numpy as np

LEVEL = 0.05  # p-value from which on there is no evidence
PERMUTATIONS = 999
FEWEST_TRIALS = 8  # with fewer, hardly any difference could be evidence
NEAR_EDGE = 0.1  # of the width of a range
RESOLUTION = 0.01  # a continuous range becomes no narrower than twice this


@dataclass(frozen=True)
class Decision:
    """What becomes of the range of one hyperparameter, and why.

    Args:
        new: The range of the next round: `(low, high)` as probabilities, or the
            values that are left of a hyperparameter without an order.
        reason: Why, in words.
        p_value: How probable scores that depend as much on the hyperparameter are,
            if they do not depend on it; `None` if there were too few trials.
        best: Indices of the trials that decided.
    """

    new: tuple
    reason: str
    p_value: float | None = None
    best: tuple[int, ...] = ()


def narrow_range(
    positions: np.ndarray,
    ranks: np.ndarray,
    strata: Sequence[Hashable],
    current: tuple[float, float],
    *,
    num_best: int,
    resolution: float = RESOLUTION,
    seed: int = 0,
) -> Decision:
    """Decides on the range of a hyperparameter whose values have an order.

    With evidence the new range reaches from the lowest to the highest of the best
    trials, of all rounds, and on each side as far beyond as two of them lie apart on
    average. Where the best of all lies on an edge of the current range, or outside,
    the new range reaches beyond that edge, with or without evidence.

    Args:
        positions: Positions of all trials so far, in [0, 1].
        ranks: Their ranks, the lowest the best.
        strata: What was drawn from one distribution has one label; trials are
            permuted only among those.
        current: The range now.
        num_best: Number of the best trials that decide, >= 2.
        resolution: Share of one value; half of it is the least margin. Defaults to
            `0.01`.
        seed: Integer >= 0, of the permutations. Defaults to `0`.

    Example:

    >>> from tuning.narrowing import narrow_range
    >>> positions = np.linspace(0, 1, 21)
    >>> ranks = np.abs(positions - 0.4)
    >>> decision = narrow_range(positions, ranks, [0] * 21, (0, 1), num_best=5)
    >>> [round(edge, 3) for edge in decision.new], decision.reason
    ([0.25, 0.55], 'narrowed')
    """
    positions = np.asarray(positions, float)
    if len(positions) < FEWEST_TRIALS:
        return Decision(tuple(current), _too_few(len(positions)))
    best = tuple(np.argsort(ranks, kind="stable")[:num_best].tolist())
    p_value = range_p_value(positions, ranks, strata, seed)
    low, high = current
    width = high - low
    reason = f"not narrowed: no evidence (p = {p_value:.2g})"
    if p_value <= LEVEL:
        chosen = positions[list(best)]
        margin = max(np.ptp(chosen) / (len(best) - 1), resolution / 2)
        low, high = chosen.min() - margin, chosen.max() + margin
        reason = "narrowed"
    champion = positions[best[0]]
    if current[0] > 0 and champion <= current[0] + NEAR_EDGE * width:
        low = min(low, champion - width / 4)
        reason += "; the best lies on the lower edge: grown beyond it"
    if current[1] < 1 and champion >= current[1] - NEAR_EDGE * width:
        high = max(high, champion + width / 4)
        reason += "; the best lies on the upper edge: grown beyond it"
    new = (float(max(low, 0.0)), float(min(high, 1.0)))
    return Decision(new, reason, p_value, best)


def narrow_choices(
    values: Sequence,
    ranks: np.ndarray,
    strata: Sequence[Hashable],
    current: Sequence,
    *,
    num_best: int,
    seed: int = 0,
) -> Decision:
    """Decides on the values of a hyperparameter without an order.

    With evidence those stay that the best trials have, and those that fewer than
    three trials have tried. The value of the best of all is always there.

    Args:
        values: The value of each trial so far.
        ranks: Their ranks, the lowest the best.
        strata: As in `narrow_range`.
        current: The values that are left now.
        num_best: Number of the best trials that decide, >= 2.
        seed: Integer >= 0, of the permutations. Defaults to `0`.
    """
    if len(values) < FEWEST_TRIALS:
        return Decision(tuple(current), _too_few(len(values)))
    order = np.argsort(ranks, kind="stable")
    best = tuple(order[:num_best].tolist())
    p_value = choices_p_value(values, ranks, strata, seed)
    new, reason = set(current), f"not narrowed: no evidence (p = {p_value:.2g})"
    if p_value <= LEVEL:
        good = {values[index] for index in best}
        new = {c for c in new if c in good or list(values).count(c) < 3} | good
        reason = "narrowed" if new < set(current) else "all values stay"
    champion = values[best[0]]
    if champion not in current:
        reason += f"; {champion!r} is back, as the best trial has it"
    new |= {champion}
    new = tuple(c for c in dict.fromkeys([*current, *values]) if c in new)
    return Decision(new, reason, p_value, best)


def range_p_value(
    positions: np.ndarray, ranks: np.ndarray, strata: Sequence[Hashable], seed: int = 0
) -> float:
    """Tests whether scores depend on a position, in whatever shape.

    A permutation test of the distance covariance (Szekely, Rizzo & Bakirov, "Measuring
    and Testing Dependence by Correlation of Distances", 2007, definition 4), summed
    over the strata.

    Returns:
        The p-value, in (0, 1].
    """
    groups = _groups(strata, smallest=4)
    if not groups:
        return 1.0
    near = [_centred_distances(positions[group]) for group in groups]
    far = [_distances(_ranks(ranks[group])) for group in groups]

    def statistic(index: int, orders: np.ndarray) -> np.ndarray:
        permuted = far[index][orders[:, :, None], orders[:, None, :]]
        return np.tensordot(permuted, near[index]) / orders.shape[1] ** 2

    return _p_value(statistic, groups, seed)


def choices_p_value(
    values: Sequence, ranks: np.ndarray, strata: Sequence[Hashable], seed: int = 0
) -> float:
    """Tests whether scores differ between values without an order.

    A permutation test of the statistic of Kruskal & Wallis, "Use of Ranks in
    One-Criterion Variance Analysis" (1952): the variance of the values' mean ranks,
    summed over the strata.

    Returns:
        The p-value, in (0, 1].
    """
    groups = _groups(strata, smallest=4)
    if not groups:
        return 1.0
    names = sorted(set(values), key=str)
    has = np.array([[value == name for name in names] for value in values], float)
    scores = [_ranks(ranks[group]) for group in groups]

    def statistic(index: int, orders: np.ndarray) -> np.ndarray:
        own, score = has[groups[index]], scores[index]
        sums = (score - score.mean())[orders] @ own
        return (sums**2 / np.maximum(own.sum(axis=0), 1)).sum(axis=1) / len(score)

    return _p_value(statistic, groups, seed)


def _p_value(
    statistic: Callable[[int, np.ndarray], np.ndarray],
    groups: list[np.ndarray],
    seed: int,
) -> float:
    """The share of permutations, the identity one of them, that give no less."""
    generator = np.random.default_rng(seed)
    totals = np.zeros(PERMUTATIONS + 1)
    for index, group in enumerate(groups):
        size = len(group)
        orders = np.argsort(generator.random((PERMUTATIONS + 1, size)), axis=1)
        orders[0] = np.arange(size)
        # In parts, so that large groups do not take gigabytes.
        parts = np.array_split(orders, max(1, orders.size * size // 10**6))
        totals += np.concatenate([statistic(index, part) for part in parts])
    return float((totals >= totals[0] * (1 - 1e-9)).mean())


def _groups(strata: Sequence[Hashable], smallest: int) -> list[np.ndarray]:
    """Indices of the trials of each stratum that can be permuted."""
    members: dict = {}
    for index, stratum in enumerate(strata):
        members.setdefault(stratum, []).append(index)
    return [np.array(group) for group in members.values() if len(group) >= smallest]


def _ranks(values: np.ndarray) -> np.ndarray:
    """Ranks from 0; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts + 1) / 2)[inverse]


def _distances(values: np.ndarray) -> np.ndarray:
    return np.abs(values[:, None] - values[None, :])


def _centred_distances(values: np.ndarray) -> np.ndarray:
    distances = _distances(values)
    columns = distances.mean(axis=0)
    return distances - columns - columns[:, None] + columns.mean()


def _too_few(count: int) -> str:
    return f"not narrowed: {count} trials of the {FEWEST_TRIALS} that are needed"
