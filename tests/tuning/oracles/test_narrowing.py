import numpy as np
import pytest

from tuning.oracles.narrowing import (
    LEVEL,
    choices_p_value,
    narrow_choices,
    narrow_range,
    range_p_value,
)

pytestmark = pytest.mark.one_backend


def test_without_an_effect_there_is_evidence_as_often_as_the_level_says():
    generator = np.random.default_rng(0)
    p_values = [
        range_p_value(generator.random(20), generator.random(20), [0] * 20, seed)
        for seed in range(150)
    ]
    found = sum(p <= LEVEL for p in p_values)
    assert found <= 16  # binomial(150, 0.05): more with probability below 0.002
    assert 0.4 < np.mean(p_values) < 0.6


def test_categories_without_an_effect_too():
    generator = np.random.default_rng(1)
    p_values = [
        choices_p_value(
            list(generator.choice(["a", "b", "c"], 20)),
            generator.random(20),
            [0] * 20,
            seed,
        )
        for seed in range(150)
    ]
    assert sum(p <= LEVEL for p in p_values) <= 16


def test_rounds_that_differ_in_range_and_score_are_no_evidence():
    # The second round is better for another reason, and was drawn from a narrower
    # range: without strata that would look like a dependence.
    generator = np.random.default_rng(2)
    p_values, naive = [], []
    for seed in range(60):
        positions = np.r_[generator.random(20), 0.4 + 0.2 * generator.random(20)]
        ranks = np.r_[1 + generator.random(20), generator.random(20)]
        p_values.append(range_p_value(positions, ranks, [1] * 20 + [2] * 20, seed))
        naive.append(range_p_value(positions, ranks, [0] * 40, seed))
    assert sum(p <= LEVEL for p in p_values) <= 9
    assert sum(p <= LEVEL for p in naive) > 50


def test_best_trials_that_span_the_range_do_not_narrow_it():
    positions = np.linspace(0.05, 0.95, 20)
    ranks = -np.abs(positions - 0.5)  # the best at both ends
    decision = narrow_range(positions, ranks, [0] * 20, (0.0, 1.0), num_best=5)
    assert decision.p_value <= LEVEL
    assert decision.new == (0.0, 1.0)
    assert decision.reason == "not narrowed: the best trials span the range"


@pytest.mark.parametrize(
    "shape",
    [
        lambda x: x,
        lambda x: -x,
        lambda x: 2 * abs(x - 0.6),
        lambda x: x > 0.6,
        lambda x: abs(x - 0.55) > 0.25,
    ],
)
def test_an_effect_is_found_among_noise(shape):
    generator = np.random.default_rng(3)
    found = 0
    for seed in range(20):
        positions = generator.random(20)
        ranks = shape(positions) + 0.3 * generator.standard_normal(20)
        found += range_p_value(positions, ranks, [0] * 20, seed) <= LEVEL
    assert found >= 15


def test_few_trials_of_each_round_add_up():
    # Six strata of four, in each of which the middle is best.
    positions = np.tile([0.1, 0.4, 0.6, 0.9], 6)
    ranks = np.repeat(np.arange(6.0), 4) + 0.1 * np.abs(positions - 0.5)
    strata = np.repeat(np.arange(6), 4)
    assert range_p_value(positions, ranks, strata) <= LEVEL
    assert range_p_value(positions[:4], ranks[:4], strata[:4]) > LEVEL
    assert range_p_value(np.full(20, 0.5), np.arange(20.0), [0] * 20) == 1.0


def test_the_range_narrows_around_the_best_by_their_mean_distance():
    positions = np.linspace(0, 1, 21)
    decision = narrow_range(
        positions, np.abs(positions - 0.5), [0] * 21, (0, 1), num_best=5
    )
    # The best lie from 0.4 to 0.6, in steps of 0.05.
    assert decision.new == pytest.approx((0.35, 0.65))
    assert decision.reason == "narrowed"
    assert set(decision.best) == {8, 9, 10, 11, 12}


def test_a_range_that_does_not_matter_stays_and_says_so():
    generator = np.random.default_rng(4)
    positions, ranks = generator.random(20), generator.random(20)
    positions[ranks.argmin()] = 0.5  # away from the edges
    decision = narrow_range(positions, ranks, [0] * 20, (0.2, 0.9), num_best=5)
    assert decision.new == (0.2, 0.9)
    assert decision.reason.startswith("not narrowed: no evidence (p = ")


@pytest.mark.parametrize(("best", "side"), [(0.41, "lower"), (0.59, "upper")])
def test_it_grows_where_the_best_lies_on_an_edge(best, side):
    generator = np.random.default_rng(5)
    positions = 0.4 + 0.2 * generator.random(20)
    positions[7] = best
    ranks = generator.random(20)
    ranks[7] = -1
    new = narrow_range(positions, ranks, [0] * 20, (0.4, 0.6), num_best=5)
    assert f"the {side} edge: grown" in new.reason
    low, high = new.new
    assert low < 0.4 if side == "lower" else high > 0.6


def test_it_grows_to_where_exploration_has_found_better():
    positions = np.r_[np.linspace(0.1, 0.2, 19), 0.8]
    ranks = np.r_[np.random.default_rng(6).random(19), -1]
    strata = ["narrowed"] * 19 + ["full"]
    decision = narrow_range(positions, ranks, strata, (0.1, 0.2), num_best=5)
    assert decision.new[1] > 0.8


def test_bounds_of_the_space_are_never_passed():
    positions = np.linspace(0, 1, 20)
    decision = narrow_range(positions, positions, [0] * 20, (0, 1), num_best=5)
    assert decision.new[0] == 0
    assert decision.new[1] < 0.4


def test_a_range_of_few_values_keeps_whole_ones():
    positions = np.repeat([0.1, 0.3, 0.5, 0.7, 0.9], 4)
    decision = narrow_range(
        positions, np.abs(positions - 0.3), [0] * 20, (0, 1), num_best=4, resolution=0.2
    )
    assert decision.new == pytest.approx((0.2, 0.4))


def test_few_trials_decide_nothing():
    decision = narrow_range(np.arange(7) / 7, np.arange(7), [0] * 7, (0, 1), num_best=3)
    assert decision.new == (0, 1)
    assert decision.reason == "not narrowed: 7 trials of the 8 that are needed"


def test_the_same_trials_decide_the_same():
    generator = np.random.default_rng(7)
    arguments = (generator.random(20), generator.random(20), [0] * 20, (0, 1))
    decisions = {narrow_range(*arguments, num_best=5, seed=3) for _ in range(3)}
    assert len(decisions) == 1


def test_values_that_the_best_lack_are_dropped():
    values = ["a"] * 8 + ["b"] * 8 + ["c"] * 2
    ranks = np.r_[np.arange(8), 10 + np.arange(8), 30, 31]
    decision = narrow_choices(values, ranks, [0] * 18, ("a", "b", "c"), num_best=5)
    assert decision.new == ("a", "c")  # c has been tried but twice
    assert decision.reason == "narrowed"


def test_a_dropped_value_comes_back_with_the_best_trial():
    generator = np.random.default_rng(8)
    values = ["a"] * 9 + ["b"] * 9 + ["c"]
    ranks = np.r_[generator.random(18), -1]
    strata = ["narrowed"] * 18 + ["full"]
    decision = narrow_choices(values, ranks, strata, ("a", "b"), num_best=5)
    assert decision.new == ("a", "b", "c")
    assert "'c' is back" in decision.reason


def test_a_value_comes_back_while_another_is_dropped():
    values = ["a"] * 8 + ["b"] * 8 + ["c"]
    ranks = np.r_[np.arange(8), 10 + np.arange(8), -1]
    strata = ["narrowed"] * 16 + ["full"]
    decision = narrow_choices(values, ranks, strata, ("a", "b"), num_best=5)
    assert decision.new == ("a", "c")
    assert decision.reason == "narrowed; 'c' is back, because the best trial has it"
