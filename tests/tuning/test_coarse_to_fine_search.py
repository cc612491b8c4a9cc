import json

import keras_tuner
import numpy as np
import pandas as pd
import pytest

from tuning import CoarseToFineSearch
from tuning.oracles.narrowing import LEVEL, range_p_value
from tuning.trials.search_trial import DIVERGED

pytestmark = pytest.mark.one_backend


def search_of(function, tmp_path, name="search", **options):
    """A finished search over a function of the hyperparameters, which it declares."""

    class Search(CoarseToFineSearch):
        def run_trial(self, trial, *args, **kwargs):
            return function(trial.hyperparameters)

    settings = {"rounds": 3, "trials_per_round": 20, "seed": 0}
    search = Search(directory=tmp_path, project_name=name, **{**settings, **options})
    search.search(verbose=0)
    return search


def audit(search, round):
    path = search._project.folder / f"round_{round}.json"
    entries = json.loads(path.read_text())
    return {entry["hyperparameter"]: entry for entry in entries}


def rate_matters(hp):
    rate = hp.Float("rate", 1e-6, 10.0, sampling="log", default=1e-4)
    hp.Float("other", 0.0, 1.0, default=0.5)
    return (np.log10(rate) + 2.5) ** 2


def test_what_matters_narrows_on_its_scale_and_the_audit_says_why(tmp_path):
    search = search_of(rate_matters, tmp_path)
    first, second = audit(search, 1), audit(search, 2)
    rate = first["rate"]
    assert rate["decision"] == "narrowed"
    assert rate["p_value"] <= 0.05
    assert rate["old_range"] == [1e-6, 10.0]
    low, high = np.log10(rate["new_range"])
    assert low < -2.5 < high
    assert high - low < 4
    results = search.results()
    deciding = results[results["round"] == 1].score.nsmallest(4).index
    assert rate["trials_that_decided"] == deciding.tolist()
    assert second["rate"]["old_range"] == rate["new_range"]
    # Log-uniform inside the range, but for what explores (tested below).
    drawn = np.log10(results[results["round"] == 2].rate)
    inside = drawn[(low <= drawn) & (drawn <= high)]
    assert len(inside) >= 12
    assert abs(inside.mean() - (low + high) / 2) < 0.3 * (high - low)
    medians = results.groupby("round").score.median()
    assert medians[1] > 2 * medians[2] > 2 * medians[3]


@pytest.mark.heavy
def test_what_shows_only_at_a_good_rate_is_found_there(tmp_path):
    def function(hp):
        distance = abs(np.log10(hp.Float("rate", 1e-6, 10.0, sampling="log")) + 2.5)
        other = abs(hp.Float("other", 0.0, 1.0) - 0.3)
        return 10 + distance if distance > 1 else other

    found, found_among_all = 0, 0
    for seed in range(10):
        search = search_of(function, tmp_path, f"{seed}", seed=seed, rounds=2)
        other = audit(search, 2)["other"]
        low, high = other["new_range"]
        found += other["decision"] == "narrowed" and low < 0.5 and high < 0.6
        assert 8 <= other["trials_tested"] < 40
        trials = search.results()
        p_value = range_p_value(
            trials.other.to_numpy(), trials.score.to_numpy(), list(trials["round"])
        )
        found_among_all += p_value <= LEVEL
    assert found >= 7 > found_among_all + 2


def test_a_trial_explores_one_narrowed_value_at_most(tmp_path):
    def function(hp):
        x, y, z = (hp.Float(name, 0.0, 1.0) for name in "xyz")
        return max(abs(x - 0.4), abs(y - 0.6)) + 0 * z

    search = search_of(function, tmp_path, trials_per_round=60, explore=0.5)
    trials = [t for t in search.oracle.trials.values() if t.round == 2]
    decisions = audit(search, 1)
    narrowed = [k for k in "xyz" if decisions[k]["new_range"] != [0.0, 1.0]]
    assert {"x", "y"} <= set(narrowed)
    explored = [[n for n in narrowed if t.sources[n] == "full"] for t in trials]
    assert max(map(len, explored)) == 1
    # Binomial(60, 1/2): outside of these bounds with probability 0.002.
    assert 18 <= sum(map(len, explored)) <= 42
    assert {name for names in explored for name in names} == set(narrowed)


def test_what_does_not_matter_is_left_alone_and_says_so(tmp_path):
    narrowed = 0
    for seed in range(5):
        search = search_of(rate_matters, tmp_path, f"{seed}", seed=seed, rounds=2)
        other = audit(search, 1)["other"]
        narrowed += other["decision"] == "narrowed"
        if other["decision"].startswith("not narrowed: no evidence (p ="):
            assert other["new_range"] == [0.0, 1.0]
    assert narrowed <= 1


def test_a_bad_first_round_is_undone(tmp_path):
    # Nine tenths of the range lead away from a deep and narrow valley.
    def trap(hp):
        x = hp.Float("x", 0.0, 1.0, default=0.5)
        return x if x < 0.9 else -20 * (x - 0.9)

    options = {"rounds": 6, "trials_per_round": 10, "explore": 0.3}
    ends = [
        search_of(trap, tmp_path, f"{seed}", seed=seed, **options).results().score.min()
        for seed in range(4)
    ]
    assert all(end < -0.5 for end in ends)


def test_values_without_an_order_are_dropped(tmp_path):
    def function(hp):
        kind = hp.Choice("kind", ["good", "bad", "worse"])
        x = hp.Float("x", 0.0, 1.0)
        return {"good": 0, "bad": 5, "worse": 9}[kind] + 0.1 * x

    search = search_of(function, tmp_path, explore=0.1)
    kept = audit(search, 1)["kind"]
    assert kept["new_range"] == ["good"]
    assert kept["old_range"] == ["good", "bad", "worse"]
    counts = search.results().groupby("round").kind.value_counts().unstack(fill_value=0)
    assert counts.loc[3, "good"] >= 16 > counts.loc[1, "good"]


def test_a_conditional_range_narrows_by_the_trials_that_have_it(tmp_path):
    def function(hp):
        model = hp.Choice("model", ["linear", "deep"])
        with hp.conditional_scope("model", ["deep"]):
            depth = hp.Float("depth", 0.0, 1.0)
        return 1.0 if model == "linear" else abs(depth - 0.7)

    search = search_of(function, tmp_path)
    results = search.results()
    assert results.depth.isna().equals(results.model == "linear")
    key = "depth where model in ['deep']"
    deciding = audit(search, 1)[key]["trials_that_decided"]
    assert (results.model[deciding] == "deep").all()
    low, high = audit(search, 2)[key]["new_range"]
    assert low < 0.7 < high
    assert high - low < 0.6


@pytest.mark.heavy
def test_divergence_is_evidence_against_a_range(curves):
    def curve(hp, call):
        x = hp.get("x")
        return [{"loss": 1.0 if x < 0.5 else np.nan, "val_loss": (call * 7) % 5}]

    search = curves(
        curve, max_trials=2, cls=CoarseToFineSearch, trials_per_round=16, explore=0.0
    )
    search.search(verbose=0)
    results = search.results()
    statuses = results.groupby("round").status.value_counts().unstack(fill_value=0)
    diverged = DIVERGED.lower()
    assert statuses.loc[2, diverged] <= 2 < statuses.loc[1, diverged] / 2


def test_the_first_round_is_that_of_a_random_search(tmp_path, parabola):
    class Parabola(CoarseToFineSearch):
        run_trial = type(parabola()).run_trial

    random = parabola(max_trials=20)
    random.search(verbose=0)
    search = Parabola(directory=tmp_path, project_name="fine", rounds=1, seed=0)
    search.search(verbose=0)
    assert search.results().x.tolist() == random.results().x.tolist()


def test_it_goes_on_with_more_rounds_as_if_they_had_been_there(tmp_path):
    search_of(rate_matters, tmp_path, "twice", rounds=2)
    twice = search_of(rate_matters, tmp_path, "twice")
    once = search_of(rate_matters, tmp_path, "once")
    assert twice.results().rate.tolist() == once.results().rate.tolist()
    with pytest.raises(ValueError, match="  trials_per_round: 20 there, 10 here"):
        search_of(rate_matters, tmp_path, "once", trials_per_round=10)


def test_a_search_that_is_interrupted_in_a_late_round_goes_on_as_if_it_had_not(
    tmp_path,
):
    class Search(CoarseToFineSearch):
        end = None

        def run_trial(self, trial, *args, **kwargs):
            if trial.number == self.end:
                raise KeyboardInterrupt
            hp = trial.hyperparameters
            x, y = (hp.Float(name, 0.0, 1.0) for name in "xy")
            return (x - 0.3) ** 2 + 0.3 * (y - 0.6) ** 2

    def search(name):
        settings = {"rounds": 4, "trials_per_round": 10, "seed": 0}
        return Search(directory=tmp_path, project_name=name, **settings)

    whole = search("whole")
    whole.search(verbose=0)
    Search.end = 25
    with pytest.raises(KeyboardInterrupt):
        search("interrupted").search(verbose=0)
    Search.end = None
    resumed = search("interrupted")
    resumed.search(verbose=0)
    columns = ["trial", "round", "score", "x", "y"]
    pd.testing.assert_frame_equal(resumed.results()[columns], whole.results()[columns])
    for round in (1, 2, 3):
        assert audit(resumed, round) == audit(whole, round)


def test_an_exhausted_range_falls_back_to_others(tmp_path):
    def function(hp):
        return abs(hp.Int("n", 1, 30) - 11)

    search = search_of(function, tmp_path, rounds=2, trials_per_round=15)
    results = search.results()
    assert len(results) == 30
    assert sorted(results.n) == list(range(1, 31))


@pytest.mark.parametrize(
    "options",
    [{"rounds": 0}, {"trials_per_round": 0}, {"explore": 1.0}, {"max_trials": 9}],
)
def test_invalid_arguments_are_named(tmp_path, options):
    with pytest.raises(ValueError, match=f"`{next(iter(options))}`"):
        search_of(rate_matters, tmp_path, **options)


@pytest.mark.slow
def test_it_is_better_than_random_on_a_smooth_function(tmp_path):
    """At equal budget, with the same first trial: 7 seeds."""

    def function(hp):
        x = [hp.Float(name, 0.0, 1.0, default=0.5) for name in "abcde"]
        return (x[0] - 0.31) ** 2 + (x[1] - 0.77) ** 2

    hp = keras_tuner.HyperParameters()
    for name in "abcde":
        hp.Float(name, 0.0, 1.0, default=0.5)
    best = []
    for seed in range(7):
        options = {"seed": seed, "hyperparameters": hp}
        fine = search_of(function, tmp_path, f"fine{seed}", **options)
        random = search_of(
            function, tmp_path, f"r{seed}", rounds=1, trials_per_round=60, **options
        )
        assert random.results().score[0] == fine.results().score[0]
        best.append([search.results().score.min() for search in (fine, random)])
    fine, random = np.mean(best, axis=0)
    assert fine < 0.6 * random


@pytest.mark.heavy
def test_candidates_find_more_and_survive_an_interruption(tmp_path):
    def bowl(hp):
        return sum((hp.Float(name, 0.0, 1.0) - 0.3) ** 2 for name in "abc")

    options = {"rounds": 4, "trials_per_round": 8}
    best = {
        candidates: np.mean(
            [
                search_of(
                    bowl,
                    tmp_path,
                    f"{candidates}-{seed}",
                    seed=seed,
                    candidates=candidates,
                    **options,
                )
                .results()
                .score.min()
                for seed in range(3)
            ]
        )
        for candidates in (1, 20)
    }
    assert best[20] < 0.5 * best[1]
    for rounds in (2, 4):
        parts = search_of(
            bowl, tmp_path, "parts", candidates=20, rounds=rounds, trials_per_round=8
        )
    whole = search_of(bowl, tmp_path, "20-0", candidates=20, **options)
    tables = [each.results().drop(columns="seconds") for each in (parts, whole)]
    pd.testing.assert_frame_equal(*tables)


def test_an_invalid_number_of_candidates_is_refused(tmp_path):
    with pytest.raises(ValueError, match="`candidates`"):
        CoarseToFineSearch(lambda hp: None, "loss", candidates=0, directory=tmp_path)
