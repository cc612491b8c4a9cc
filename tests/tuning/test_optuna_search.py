import sys

import keras_tuner
import numpy as np
import pytest
from keras_tuner.engine.hyperparameters import Boolean, Choice, Float, Int

from tuning import OptunaSearch, zero_or_log_uniform
from tuning.hyperparameters.exact_numbers import exact
from tuning.hyperparameters.probability import (
    finite_values,
    is_ordered,
    own_value,
    to_probability,
)
from tuning.oracles.optuna_parameters import suggest, to_parameter

optuna = pytest.importorskip("optuna")

pytestmark = pytest.mark.one_backend


def mixed(hp):
    """A function of hyperparameters of all kinds, some of which are conditional."""
    rate = hp.Float("rate", 1e-6, 10.0, sampling="log", default=1e-4)
    layers = hp.Int("layers", 1, 3)
    units = sum(hp.Int(f"units_{i}", 8, 512, sampling="log") for i in range(layers))
    decay = zero_or_log_uniform(hp, "decay", 1e-4, 1.0)
    batch = hp.Choice("batch", [32, 64, 128], default=64)
    kind = hp.Choice("kind", ["a", "b", "c"])
    loss = (np.log10(rate) + 2.5) ** 2 + abs(np.log2(units) - 7) / 4
    return loss + 0.3 * decay + batch / 640 + (kind != "b")


def search_of(function, folder, sampler, stops=(20,), **options):
    """Runs a search that stops and continues, each time as a new object."""

    class Search(OptunaSearch):
        def run_trial(self, trial, *args, **kwargs):
            return function(trial.hyperparameters)

    for stop in stops:
        settings = {"seed": 0, "directory": folder, **options}
        search = Search(max_trials=stop, sampler=sampler, **settings)
        search.search(verbose=0)
    return search


def table(search):
    return search.results().drop(columns="seconds")


class Recorder(optuna.samplers.BaseSampler):
    """Proposes increasing values, and records all finished trials that it can see."""

    def __init__(self):
        self.told = []

    def __deepcopy__(self, memo):
        return self  # a search copies its sampler

    def infer_relative_search_space(self, study, trial):
        return {}

    def sample_relative(self, study, trial, search_space):
        return {}

    def sample_independent(self, study, trial, name, distribution):
        trials = study.get_trials()
        self.told.append([each for each in trials if each.state.is_finished()])
        return 0.01 * len(self.told)


def test_the_sampler_is_told_every_outcome(curves):
    def curve(hp, call):
        x = hp.get("x")
        if call == 6:
            raise OSError("disk")
        losses = {5: [np.nan], 7: [9.0, 9.0, 9.0]}.get(call, [1 + x, x, 2 + x])
        return [{"val_loss": loss} for loss in losses]

    sampler = Recorder()
    options = {"cls": OptunaSearch, "sampler": sampler, "prune": True}
    search = curves(curve, max_trials=9, **options)
    search.search(verbose=0)
    statuses = ["completed"] * 5 + ["diverged", "failed", "pruned", "pruned"]
    assert search.results().status.tolist() == statuses
    told = sampler.told[-1][1::2]  # without the drafts
    states = ["COMPLETE"] * 6 + ["FAIL", "PRUNED"]
    assert [trial.state.name for trial in told] == states
    values = [0.5, 0.01, 0.02, 0.03, 0.04]
    assert [trial.value for trial in told] == [*values, np.inf, None, None]
    assert [trial.params["x"] for trial in told] == [*values, 0.05, 0.06, 0.07]
    assert told[7].intermediate_values == {2: 9.0}


def test_outcomes_of_a_round_are_told_when_it_ends(tmp_path):
    sampler = Recorder()
    options = {
        "objective": keras_tuner.Objective("score", "max"),
        "trials_per_round": 3,
    }
    search = search_of(
        lambda hp: hp.Float("x", 0.0, 1.0), tmp_path, sampler, [4, 9], **options
    )
    scores = search.results().score.tolist()
    told = [[t.value for t in each if t.value is not None] for each in sampler.told]
    # The first trial has the default. The second search repeats three proposals.
    assert [len(each) for each in told] == [0, 0, 3, 0, 0, 3, 3, 3, 6, 6, 6]
    assert all(each == scores[: len(each)] for each in told)


def test_unread_values_are_not_told(tmp_path):
    def function(hp):
        hp.Int("layers", 1, 3)
        layers = hp.get("layers")
        units = [hp.Int(f"units_{i}", 8, 512, sampling="log") for i in range(layers)]
        return sum(units)

    search = search_of(function, tmp_path, optuna.samplers.RandomSampler(), [20])
    study = search.oracle._study._study
    told = [each for each in study.get_trials() if each.value is not None]
    assert {len(each.params) for each in told} == {2, 3, 4}
    for trial in told:
        layers, *units = trial.params.values()  # `layers` is an index
        assert len(units) == 1 + layers
        assert trial.value == sum(units)


@pytest.mark.parametrize("trials_per_round", [1, 4])
@pytest.mark.parametrize(
    "make_sampler",
    [
        optuna.samplers.TPESampler,
        lambda: optuna.samplers.TPESampler(multivariate=False, n_startup_trials=4),
        lambda: optuna.samplers.NSGAIISampler(population_size=5),
    ],
    ids=["tpe", "independent_tpe", "nsga"],
)
def test_a_search_that_continues_makes_the_same_proposals(
    make_sampler, trials_per_round, tmp_path
):
    def function(hp):
        loss = mixed(hp)
        if loss > 8:
            raise OSError("disk")
        return loss

    options = {
        "trials_per_round": trials_per_round,
        "max_consecutive_failed_trials": 30,
    }
    whole = search_of(function, tmp_path / "a", make_sampler(), [30], **options)
    sampler = make_sampler()
    parts = search_of(function, tmp_path / "b", sampler, [6, 13, 30], **options)
    assert table(parts).equals(table(whole))
    assert set(table(whole).status) == {"completed", "failed"}


def test_a_search_depends_on_its_seed_and_not_on_that_of_the_sampler(tmp_path):
    samplers = optuna.samplers
    first = search_of(mixed, tmp_path / "0", samplers.TPESampler(seed=1))
    same = search_of(mixed, tmp_path / "1", samplers.TPESampler(seed=2))
    other = search_of(mixed, tmp_path / "2", samplers.TPESampler(seed=1), seed=5)
    assert table(first).equals(table(same))
    assert not set(table(first).rate[1:]) & set(table(other).rate[1:])


def test_tpe_finds_more_than_random_values(tmp_path):
    def bowl(hp):
        return sum((hp.Float(name, 0.0, 1.0) - 0.3) ** 2 for name in "abcd")

    best = {}
    for cls in (optuna.samplers.TPESampler, optuna.samplers.RandomSampler):
        folder = tmp_path / cls.__name__
        scores = [
            search_of(bowl, folder / f"{seed}", cls(), [40], seed=seed).results().score
            for seed in range(3)
        ]
        best[cls] = np.mean([each.min() for each in scores])
    assert best[optuna.samplers.TPESampler] < 0.6 * best[optuna.samplers.RandomSampler]


PARAMETERS = [
    Float("x", -1.0, 2.0),
    Float("x", 1e-6, 10.0, sampling="log"),
    Float("x", 0.9, 0.999, sampling="reverse_log"),
    Float("x", 0.0, 0.5, step=0.1),
    Float("x", 1e-3, 1.0, step=10, sampling="log"),
    Int("x", 3, 9),
    Int("x", 1, 1000, sampling="log"),
    Int("x", 3, 10, step=2),
    Int("x", 32, 512, step=2, sampling="log"),
    Choice("x", [32, 64, 256]),
    Choice("x", [0.5, 0.1], ordered=False),
    Choice("x", ["relu", "tanh"]),
    Boolean("x"),
]


@pytest.mark.parametrize("hp", [exact(hp) for hp in PARAMETERS], ids=str)
def test_proposals_have_the_values_and_the_scale_of_the_hyperparameter(hp):
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    positions = []
    for _ in range(200):
        draft = study.ask()
        value = suggest(draft, hp)
        assert own_value(hp, value) == value
        assert type(own_value(hp, value)) is type(value)
        assert to_parameter(hp, value) == pytest.approx(draft.params["x"], abs=1e-9)
        if is_ordered(hp):
            positions.append(to_probability(hp, value))
        else:
            positions.append((hp.values.index(value) + 0.5) / len(hp.values))
    # The mean of 200 uniform positions deviates by 0.08 with probability 1e-4.
    assert np.mean(positions) == pytest.approx(0.5, abs=0.08)
    values = finite_values(hp)
    if values is not None and len(values) < 10:
        assert len(set(positions)) == len(values)


def test_known_values_are_replaced_until_the_space_is_exhausted(tmp_path, capsys):
    class Same(Recorder):
        def sample_independent(self, study, trial, name, distribution):
            return distribution.choices[0]

    search = search_of(
        lambda hp: hp.Choice("a", ["p", "q", "r"]) == hp.Choice("b", ["p", "q"]),
        tmp_path,
        Same(),
        stops=[9],
    )
    results = search.results()
    assert len(results) == 6
    assert len(results[["a", "b"]].drop_duplicates()) == 6


def test_other_settings_of_the_sampler_are_listed(parabola, tmp_path):
    def make(sampler):
        return OptunaSearch(
            lambda hp: None, "loss", sampler=sampler, seed=0, directory=tmp_path
        )

    make(optuna.samplers.TPESampler())
    with pytest.raises(
        ValueError, match=r"sampler\.n_startup_trials: 10 there, 5 here"
    ):
        make(optuna.samplers.TPESampler(n_startup_trials=5))
    with pytest.raises(ValueError, match=r"'TPESampler' there, 'RandomSampler' here"):
        make(optuna.samplers.RandomSampler())


@pytest.mark.parametrize(
    ("sampler", "message"),
    [
        ("tpe", "Expected an Optuna sampler.*Received: sampler='tpe'"),
        (optuna.samplers.TPESampler, r"Pass an instance: `sampler=TPESampler\(\)`"),
        (optuna.samplers.GridSampler({"x": [1]}), "To try all combinations"),
    ],
)
def test_what_is_not_a_supported_sampler_is_refused(sampler, message, tmp_path):
    with pytest.raises(ValueError, match=f"(?s){message}"):
        OptunaSearch(lambda hp: None, "loss", sampler=sampler, directory=tmp_path)


def test_an_error_of_the_sampler_names_it(tmp_path):
    class Picky(Recorder):
        def sample_independent(self, study, trial, name, distribution):
            raise NotImplementedError("only integers")

    message = "sampler Picky could not propose a value for hyperparameter 'x'.*only int"
    with pytest.raises(RuntimeError, match=f"(?s){message}"):
        search_of(lambda hp: hp.Float("x", 0.0, 1.0), tmp_path, Picky())


def test_without_optuna_the_error_says_how_to_install_it(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ImportError, match=r'pip install "kerascope\[optuna\]"'):
        OptunaSearch(lambda hp: None, "loss", directory=tmp_path)
