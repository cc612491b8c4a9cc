"""Spaces whose build decides what there is, and how far it reaches."""

import keras_tuner
import numpy as np
import pytest

from tuning import CoarseToFineSearch, RandomSearch

pytestmark = pytest.mark.one_backend


def searched(declare, tmp_path, max_trials=60, cls=RandomSearch, **options):
    """A finished search over a function of the hyperparameters, which it declares."""

    class Search(cls):
        def run_trial(self, trial, *args, **kwargs):
            return float(declare(trial.hyperparameters) or 0.0)

    if cls is RandomSearch:
        options["max_trials"] = max_trials
    search = Search(objective="loss", seed=0, directory=tmp_path, **options)
    search.search(verbose=0)
    return search


def bounds(hp):
    first = hp.Int("first", 50, 1000)
    hp.Int("second", first // 2, first)


def step(hp):
    hp.Float("x", 0.0, 1.0, step=hp.Choice("step", [0.1, 0.25]))


def listed(hp):
    hp.Choice("x", [8, 16] if hp.Boolean("small") else [256, 512])


def fixed(hp):
    hp.Fixed("x", hp.Int("units", 1, 9) * 2)


def sampling(hp):
    hp.Float("x", 0.1, 1.0, sampling="log" if hp.Boolean("log") else "linear")


def kind(hp):
    if hp.Boolean("integer"):
        hp.Int("x", 1, 9)
    else:
        hp.Float("x", 1.0, 9.0)


def twice(hp):
    hp.Int("x", 1, 9)
    hp.Int("x", 10, 19)


def scoped(hp):
    hp.Int("x", 1, 9)
    hp.Boolean("wide")
    with hp.conditional_scope("wide", [True]):
        hp.Int("x", 10, 19)


def nested(hp):
    depth = hp.Int("depth", 1, 3)
    hp.Boolean("deep")
    with hp.conditional_scope("deep", [True]):
        hp.Int("width", 1, 2**depth)


CHANGING = [bounds, step, listed, fixed, sampling, kind, twice, scoped, nested]


@pytest.mark.parametrize("declare", CHANGING)
def test_a_range_that_changes_ends_the_search_and_names_both(declare, tmp_path):
    with pytest.raises(ValueError, match="was declared with two ranges.*\n.*depends"):
        searched(declare, tmp_path)


@pytest.mark.parametrize("declare", CHANGING[:2])
def test_coarse_to_fine_refuses_it_too(declare, tmp_path):
    with pytest.raises(ValueError, match="was declared with two ranges"):
        searched(declare, tmp_path, cls=CoarseToFineSearch)


def test_a_default_may_depend_on_another_value(tmp_path):
    def declare(hp):
        units = hp.Int("units_0", 1, 9)
        hp.Int("units_1", 1, 9, default=units)

    results = searched(declare, tmp_path, 10).results()
    assert set(results.status) == {"completed"}


def test_ranges_of_ones_own_override_whatever_the_build_declares(tmp_path):
    given = keras_tuner.HyperParameters()
    given.Int("second", 1, 3)
    search = searched(bounds, tmp_path, 20, hyperparameters=given)
    assert set(search.results().second) == {1, 2, 3}
    assert [hp.name for hp in given.space] == ["second"]  # which is mine


def test_conditions_tell_ranges_of_one_name_apart(tmp_path):
    def declare(hp):
        optimizer = hp.Choice("optimizer", ["adam", "sgd"])
        for name, low in (("adam", 1e-4), ("sgd", 1e-1)):
            with hp.conditional_scope("optimizer", [name]):
                rate = hp.Float("rate", low, 2 * low)
            if optimizer == name:
                assert low <= rate <= 2 * low

    results = searched(declare, tmp_path, 20).results()
    assert set(results.status) == {"completed"}
    for name, low in (("adam", 1e-4), ("sgd", 1e-1)):
        assert results.rate[results.optimizer == name].between(low, 2 * low).all()


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda hp: hp.Int("x", 1, 9, step=-1), "`step`. Expected a number > 0"),
        (lambda hp: hp.Int("x", 1, 9, step=0), "`step`. Expected a number > 0"),
        (lambda hp: hp.Float("x", 0.0, 1.0, default=2.0), "`default`.*'x'"),
        (lambda hp: hp.Int("x", 0, 9, step=3, default=5), "`default`.*'x'"),
        (lambda hp: hp.Float("x", 0.0, float("inf")), "`max_value`.*finite"),
    ],
)
def test_a_range_without_its_step_or_default_is_refused(declare, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        RandomSearch(declare, "loss", directory=tmp_path)


def test_ranges_of_ones_own_are_checked_too(tmp_path):
    given = keras_tuner.HyperParameters()
    given.Float("x", 0.0, 1.0, default=2.0)
    with pytest.raises(ValueError, match="`default`"):
        RandomSearch(kind, "loss", hyperparameters=given, directory=tmp_path)


def layers(hp):
    return sum(hp.Choice(f"units_{i}", [4, 8]) for i in range(hp.Int("layers", 1, 3)))


def test_values_of_layers_that_are_not_there_do_not_count(tmp_path):
    search = searched(layers, tmp_path, 100)
    results = search.results()
    assert len(results) == 2 + 4 + 8
    for layer in range(3):
        assert (results[f"units_{layer}"].isna() == (results.layers <= layer)).all()
    again = type(search)(
        objective="loss", max_trials=100, seed=0, directory=tmp_path
    ).results()
    assert again.drop(columns="error").equals(results.drop(columns="error"))


def test_neither_does_what_a_branch_of_python_leaves_out(tmp_path):
    def declare(hp):
        if hp.Boolean("deep"):
            if hp.Boolean("wide"):
                hp.Choice("units", [1, 2, 3])
        else:
            hp.Choice("kernel", ["linear", "rbf"])

    results = searched(declare, tmp_path).results()
    assert len(results) == 3 + 1 + 2
    assert results.kernel.isna().equals(results.deep)


def test_what_is_read_counts_however_it_is_read(tmp_path):
    given = keras_tuner.HyperParameters()
    for name in "abcd":
        given.Boolean(name)

    def declare(hp):
        hp.Boolean("a")
        return hp.get("b") + hp["c"] + hp.values["d"]

    assert len(searched(declare, tmp_path, hyperparameters=given).results()) == 16


def test_a_search_that_asks_for_nothing_has_all_values(tmp_path):
    given = keras_tuner.HyperParameters()
    given.Choice("a", [1, 2, 3])
    results = searched(lambda hp: 0.0, tmp_path, hyperparameters=given).results()
    assert sorted(results.a) == [1, 2, 3]


def test_narrowing_and_importance_leave_them_out(tmp_path):
    def declare(hp):
        depth = hp.Int("layers", 1, 3)
        rates = [hp.Float(f"rate_{i}", 0.0, 1.0) for i in range(depth)]
        return sum((rate - 0.3) ** 2 for rate in rates) + depth

    search = searched(
        declare, tmp_path, cls=CoarseToFineSearch, rounds=3, trials_per_round=15
    )
    results = search.results()
    assert results.rate_2.isna().equals(results.layers < 3)
    infos = {info["name"]: info for info in search.hyperparameters_info()}
    assert len(infos["rate_2"]["values"]) == (results.layers == 3).sum()
    assert set(search.importance().hyperparameter) >= {"layers", "rate_0"}


def test_a_trial_that_failed_before_it_asked_stops_no_other(tmp_path):
    class Fails(RandomSearch):
        calls = 0

        def run_trial(self, trial, *args, **kwargs):
            self.calls += 1
            if self.calls == 1:
                raise OSError("the disk is full")
            return layers(trial.hyperparameters)

    search = Fails(objective="loss", max_trials=40, seed=0, directory=tmp_path)
    search.search(verbose=0)
    statuses = search.results().status.value_counts()
    assert statuses.to_dict() == {"completed": 14, "failed": 1}


def test_a_scope_inside_a_scope_names_what_was_declared_outside(tmp_path):
    def declare(hp):
        depth, model = hp.Int("depth", 1, 3), hp.Choice("model", ["plain", "pooled"])
        with hp.conditional_scope("model", ["pooled"]):
            pool = hp.Int("pool", 1, 2)
            for layer in range(3):
                with hp.conditional_scope("depth", list(range(layer + 1, 4))):
                    size = hp.Choice(f"size_{layer}", [8, 16])
                is_there = model == "pooled" and layer < depth
                assert (size is not None) == is_there
            with hp.conditional_scope("pool", [2]):
                hp.Boolean("overlap")
        assert (pool is None) == (model == "plain")

    results = searched(declare, tmp_path, 200).results()
    assert set(results.status) == {"completed"}
    assert len(results) == 3 + (2 + 4 + 8) * (1 + 2)
    for layer in range(3):
        is_there = (results.model == "pooled") & (results.depth > layer)
        assert results[f"size_{layer}"].notna().equals(is_there)


def test_a_scope_of_an_unknown_name_is_still_refused(tmp_path):
    def build(hp):
        with hp.conditional_scope("modle", ["deep"]):
            hp.Int("depth", 1, 3)

    with pytest.raises(ValueError, match="modle not defined"):
        RandomSearch(build, "loss", directory=tmp_path)


@pytest.mark.parametrize("values", [[7], ["deep"]])
def test_a_scope_that_never_opens_does_not_hang(values, tmp_path):
    built = []

    def build(hp):
        built.append(hp.Int("depth", 1, 3))
        with hp.conditional_scope("depth", [1]), hp.conditional_scope("depth", values):
            hp.Boolean("never")

    RandomSearch(build, "loss", directory=tmp_path)
    assert set(built) <= {1, 2, 3}


def test_scopes_of_the_hypermodel_are_found_before_the_search(tmp_path):
    def build(hp):
        if hp.Choice("model", ["plain", "deep"]) == "deep":
            with hp.conditional_scope("model", ["deep"]):
                hp.Int("depth", 1, 3)
        else:
            with hp.conditional_scope("model", ["deep"]):
                pass

    search = RandomSearch(build, "loss", directory=tmp_path)
    assert [hp.name for hp in search.oracle.get_space().space] == ["model", "depth"]


@pytest.mark.parametrize(
    ("given", "message"),
    [({"x": 2.0}, "a value from 0.0 to 1.0"), ({"z": 1}, "these values have: 'x'")],
)
def test_first_trials_without_a_hypermodel_are_checked(given, message, tmp_path):
    with pytest.raises(ValueError, match=message):
        searched(lambda hp: hp.Float("x", 0.0, 1.0), tmp_path, initial_trials=[given])


def test_a_first_trial_has_no_values_of_layers_that_are_not_there(tmp_path):
    given = {"layers": 1, "units_2": 8}
    with pytest.raises(ValueError, match="these values have: 'layers', 'units_0'"):
        searched(layers, tmp_path, initial_trials=[{"layers": 3}, given])


def test_a_first_trial_has_integers_where_its_range_has(tmp_path):
    search = searched(
        lambda hp: hp.Int("n", 1, 64), tmp_path, 1, initial_trials=[{"n": 32.0}]
    )
    (trial,) = search.oracle.trials.values()
    assert isinstance(trial.hyperparameters.values["n"], int)


@pytest.mark.heavy
@pytest.mark.parametrize(
    "options", [{}, {"cls": CoarseToFineSearch, "rounds": 10, "explore": 0.0}]
)
def test_a_space_is_finished_however_rare_its_last_values_are(options, tmp_path):
    def declare(hp):
        return hp.Int("units", 1, 200, sampling="log")

    results = searched(declare, tmp_path, 300, **options).results()
    np.testing.assert_array_equal(np.sort(results.units), np.arange(1, 201))


def test_a_space_that_is_too_large_to_list_is_not_called_exhausted(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.setattr("tuning.oracles.search_oracle.MAX_ATTEMPTS", 2)
    monkeypatch.setattr("tuning.trials.tried_combinations.MAX_COMBINATIONS", 3)

    class Search(RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return trial.hyperparameters.Int("x", 1, 9)

    search = Search(objective="loss", max_trials=20, seed=0, directory=tmp_path)
    search.search()
    assert len(search.results()) < 9
    assert "2 draws gave only combinations" in capsys.readouterr().out
