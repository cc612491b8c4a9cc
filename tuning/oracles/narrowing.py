"""Decisions on how ranges narrow around the best trials, based on permutation tests.

Values are represented by their positions in the range, which are cumulative
probabilities (see `probability.to_probability`). Ranges with a log scale are therefore
narrowed on the log scale. The functions are pure: the same trials and the same seed
give the same decision. The best trials are chosen from all rounds, but the permutation
tests use only the latest 300 trials.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

LEVEL = 0.1  # largest p-value that counts as evidence
PERMUTATIONS = 999
FEWEST_TRIALS = 8  # with fewer, hardly any difference can be significant
MOST_TRIALS = 300  # only this many recent trials are tested, to save time
NEAR_EDGE = 0.1  # fraction of the width of the current range
RESOLUTION = 0.01  # minimum width of a continuous range, unless clipped at a bound


@dataclass(frozen=True)
class Decision:
    """Describes the new range of one hyperparameter, and the reason for the decision.

    Args:
        new: Range of the next round: `(low, high)` as probabilities, or the remaining
            values of a categorical hyperparameter.
        reason: Reason for the decision, such as "narrowed".
        p_value: Probability of observing an effect at least this strong if the scores
            do not depend on the hyperparameter; `None` if there were too few trials.
            Defaults to `None`.
        best: Indices of the best trials, on which the decision is based. Defaults to
            `()`.
        num_trials: Number of trials considered. Defaults to `0`.
    """

    new: tuple
    reason: str
    p_value: float | None = None
    best: tuple[int, ...] = ()
    num_trials: int = 0

    @property
    def doubt(self) -> float:
        """The p-value, or 1 if there was no test."""
        return 1.0 if self.p_value is None else self.p_value


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
    """Decides on the new range of an ordered hyperparameter.

    If there is evidence of an effect, the new range spans the best trials of all
    rounds, plus a margin on each side. The margin is the mean distance between
    neighboring best trials, but at least half of `resolution`.

    If the best trial lies near or beyond an edge of the current range, the new range
    extends past that trial, even without evidence of an effect. Edges at the bounds of
    the search space are exempt.

    Args:
        positions: Positions of all trials so far, in [0, 1].
        ranks: Ranks of the trials, where lower is better.
        strata: Labels of the distributions from which the values were drawn. Trials are
            permuted only within a stratum.
        current: Current range.
        num_best: Integer >= 2, the number of best trials that determine the new range.
        resolution: Fraction of the full range that a single value occupies. The minimum
            margin is half of this fraction. Defaults to `0.01`.
        seed: Integer >= 0, the seed of the permutations. Defaults to `0`.

    Example:

    >>> from tuning.oracles.narrowing import narrow_range
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
    latest = slice(-MOST_TRIALS, None)
    p_value = range_p_value(positions[latest], ranks[latest], strata[latest], seed)
    low, high = current
    width = high - low
    reason = f"not narrowed: no evidence (p = {p_value:.2g})"
    if p_value <= LEVEL:
        chosen = positions[list(best)]
        margin = max(np.ptp(chosen) / (len(best) - 1), resolution / 2)
        low, high = chosen.min() - margin, chosen.max() + margin
        is_narrower = low > current[0] or high < current[1]
        spanned = "not narrowed: the best trials span the range"
        reason = "narrowed" if is_narrower else spanned
    champion = positions[best[0]]
    if current[0] > 0 and champion <= current[0] + NEAR_EDGE * width:
        low = min(low, champion - width / 4)
        reason += "; the best trial lies on the lower edge: grown beyond it"
    if current[1] < 1 and champion >= current[1] - NEAR_EDGE * width:
        high = max(high, champion + width / 4)
        reason += "; the best trial lies on the upper edge: grown beyond it"
    new = (float(max(low, 0.0)), float(min(high, 1.0)))
    return Decision(new, reason, p_value, best, len(positions))


def narrow_choices(
    values: Sequence,
    ranks: np.ndarray,
    strata: Sequence[Hashable],
    current: Sequence,
    *,
    num_best: int,
    seed: int = 0,
) -> Decision:
    """Decides which values of a categorical hyperparameter to keep.

    If there is evidence of an effect, only the values of the best trials are kept,
    together with values that fewer than three trials have tried. The value of the best
    trial is always kept.

    Args:
        values: Values of all trials so far.
        ranks: Ranks of the trials, where lower is better.
        strata: As in `narrow_range`.
        current: Values of the current range.
        num_best: Integer >= 2, the number of best trials whose values are kept.
        seed: Integer >= 0, the seed of the permutations. Defaults to `0`.
    """
    if len(values) < FEWEST_TRIALS:
        return Decision(tuple(current), _too_few(len(values)))
    order = np.argsort(ranks, kind="stable")
    best = tuple(order[:num_best].tolist())
    latest = slice(-MOST_TRIALS, None)
    p_value = choices_p_value(values[latest], ranks[latest], strata[latest], seed)
    kept, reason = set(current), f"not narrowed: no evidence (p = {p_value:.2g})"
    if p_value <= LEVEL:
        good = {values[index] for index in best}
        counts = Counter(values)
        kept = {c for c in kept if c in good or counts[c] < 3} | good
        reason = "narrowed" if set(current) - kept else "all values stay"
    champion = values[best[0]]
    if champion not in current:
        reason += f"; {champion!r} is back, because the best trial has it"
    kept |= {champion}
    new = tuple(c for c in dict.fromkeys([*current, *values]) if c in kept)
    return Decision(new, reason, p_value, best, len(values))


def range_p_value(
    positions: np.ndarray, ranks: np.ndarray, strata: Sequence[Hashable], seed: int = 0
) -> float:
    """Tests whether scores have a linear or quadratic trend over the range.

    This is a permutation test of a rank regression (Conover & Iman, "Rank
    Transformations as a Bridge Between Parametric and Nonparametric Statistics", 1981).
    The statistic measures how much of the variation in the ranks is explained by the
    position and its square. The square is included because the best learning rate, for
    example, lies in the middle of its range. With 20 trials, this test detects such an
    optimum, whereas tests for arbitrary dependence do not. Ranks and positions are
    centered within each stratum, so that differences between rounds, or between the
    ranges of rounds, do not count as dependence.

    Returns:
        The p-value, in (0, 1].
    """
    groups = _groups(strata, smallest=2)
    if not groups:
        return 1.0
    columns = np.stack([positions, positions**2], axis=1)
    powers = [columns[group] for group in groups]
    design = np.concatenate([each - each.mean(axis=0) for each in powers])
    basis, sizes, _ = np.linalg.svd(design, full_matrices=False)
    basis = basis[:, sizes > 1e-9 * max(sizes[0], 1e-9)]
    scores = [_ranks(ranks[group]) / len(group) for group in groups]
    ends = np.cumsum([len(group) for group in groups])

    def statistic(orders: list[np.ndarray]) -> np.ndarray:
        explained: Any = 0.0  # becomes an array with the first group
        for score, order, end in zip(scores, orders, ends, strict=True):
            own = basis[end - len(score) : end]
            explained = explained + (score - score.mean())[order] @ own
        return (explained**2).sum(axis=1)

    return _p_value(statistic, groups, seed)


def choices_p_value(
    values: Sequence, ranks: np.ndarray, strata: Sequence[Hashable], seed: int = 0
) -> float:
    """Tests whether scores differ between the values of a categorical hyperparameter.

    This is a permutation test. Its statistic, from Kruskal & Wallis, "Use of Ranks in
    One-Criterion Variance Analysis" (1952), is the variance between the mean ranks of
    the values, summed over the strata.

    Returns:
        The p-value, in (0, 1].
    """
    groups = _groups(strata, smallest=2)
    if not groups:
        return 1.0
    names = sorted(set(values), key=str)
    has = np.array([[value == name for name in names] for value in values], float)
    scores = [_ranks(ranks[group]) / len(group) for group in groups]

    def statistic(orders: list[np.ndarray]) -> np.ndarray:
        total: Any = 0.0  # becomes an array with the first group
        for group, score, order in zip(groups, scores, orders, strict=True):
            own = has[group]
            sums = (score - score.mean())[order] @ own
            total = total + (sums**2 / np.maximum(own.sum(axis=0), 1)).sum(axis=1)
        return total

    return _p_value(statistic, groups, seed)


def _p_value(
    statistic: Callable[[list[np.ndarray]], np.ndarray],
    groups: list[np.ndarray],
    seed: int,
) -> float:
    """Returns the p-value of a permutation test.

    The p-value is the fraction of permutations whose statistic is at least as large as
    the observed one. The observed order counts as one of the permutations.
    """
    generator = np.random.default_rng(seed)
    orders = []
    for group in groups:
        shape = (PERMUTATIONS + 1, len(group))
        orders.append(np.argsort(generator.random(shape), axis=1))
        orders[-1][0] = np.arange(len(group))
    values = statistic(orders)
    return float((values >= values[0] * (1 - 1e-9)).mean())


def _groups(strata: Sequence[Hashable], smallest: int) -> list[np.ndarray]:
    """Returns the trial indices of each stratum with at least `smallest` trials."""
    members: dict = {}
    for index, stratum in enumerate(strata):
        members.setdefault(stratum, []).append(index)
    return [np.array(group) for group in members.values() if len(group) >= smallest]


def _ranks(values: np.ndarray) -> np.ndarray:
    """Returns ranks, counted from 0; equal values share their mean rank."""
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return (ends - (counts + 1) / 2)[inverse]


def _too_few(count: int) -> str:
    return f"not narrowed: {count} trials of the {FEWEST_TRIALS} that are needed"
