import math
from types import SimpleNamespace

import keras_tuner
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from sklearn.ensemble import RandomForestRegressor
from sklearn.inspection import permutation_importance
from sklearn.model_selection import KFold

from tuning import RandomSearch
from tuning.results.permutation_importance import permutation_importances
from tuning.results.texts import conclusions_of

pytestmark = pytest.mark.one_backend


@pytest.fixture
def searched(tmp_path):
    """Makes a finished search over a function of the hyperparameters."""

    def make(function, direction="min", max_trials=30):
        class Search(RandomSearch):
            def run_trial(self, trial, *args, **kwargs):
                return {"score": function(trial.hyperparameters)}

        objective = keras_tuner.Objective("score", direction)
        search = Search(None, objective, max_trials, seed=0, directory=tmp_path)
        search.search(verbose=0)
        return search

    return make


def two(hp):
    rate = hp.Float("rate", 1e-4, 1.0, sampling="log", default=1e-2)
    hp.Float("other", 0.0, 1.0, default=0.5)
    return math.log10(rate) ** 2


def test_the_table_has_a_row_a_trial_and_a_column_a_hyperparameter(searched):
    search = searched(two)
    results = search.results()
    assert results.columns.tolist() == [
        *("trial", "round", "status", "score", "score_std", "epochs", "seconds"),
        *("error", "rate", "other"),
    ]
    assert results.trial.tolist() == list(range(30))
    np.testing.assert_allclose(results.score, np.log10(results.rate) ** 2)
    written = pd.read_csv(search._project.folder / "results.csv")
    np.testing.assert_allclose(written.rate, results.rate)


def test_a_hyperparameter_called_as_a_column_is_told_apart(searched):
    results = searched(lambda hp: hp.Float("score", 0.0, 1.0), max_trials=3).results()
    assert (results["score (hyperparameter)"] == results.score).all()


@pytest.mark.heavy
def test_importance_finds_what_matters(searched):
    table = searched(two, max_trials=40).importance()
    assert table.hyperparameter.tolist() == ["rate", "other"]
    assert table.importance[0] > 0.5
    assert abs(table.importance[1]) < 0.1


def test_importance_needs_trials(searched):
    few = "at least 10 finished trials are needed, and there are 9; .* `max_trials`"
    with pytest.raises(ValueError, match=few):
        searched(two, max_trials=9).importance()
    assert len(searched(two, max_trials=10).importance()) == 2


def test_the_last_line_says_which_importances_cannot_be_told_from_zero():
    table = pd.DataFrame(
        {
            "hyperparameter": ["layers", "rate", "units"],
            "importance": [0.52, 0.3, -0.46],
            "std": [0.1, 1.0, 2.0],
        }
    )
    search = SimpleNamespace(
        oracle=SimpleNamespace(book=SimpleNamespace(num_finished=10)),
        importance=lambda: table,
        edge_warnings=list,
    )
    assert conclusions_of(search) == [
        "importance: layers 0.52 (std 0.10), rate cannot tell (0.30, std 1.00), "
        "units cannot tell (-0.46, std 2.00)"
    ]


def test_the_table_in_notebooks_has_all_columns_and_whole_errors(searched):
    error = "the disk is full, " * 20

    def fails(hp):
        x = hp.Float("x", 0.0, 1.0, default=0.5)
        for number in range(30):
            hp.Fixed(f"constant_{number}", number)
        if x != 0.5:
            raise OSError(error)
        return x

    search = searched(fails, max_trials=2)
    text = search._repr_html_()
    assert all(f"<th>{name}</th>" in text for name in search.results().columns)
    assert error.strip() in text


@pytest.mark.parametrize(
    ("direction", "expected"),
    [("min", ["The best rate, 0.", "upper bound 1"]), ("max", ["lower bound 0.0001"])],
)
def test_an_edge_of_the_range_is_warned_of(searched, direction, expected):
    (sentence,) = searched(two, direction=direction, max_trials=40).edge_warnings()
    assert all(part in sentence for part in expected)
    assert sentence.endswith("of its range: widen it.")


def test_no_edge_no_warning(searched):
    def inside(hp):
        x = hp.Float("x", 0.0, 1.0)
        hp.Choice("batch", [32, 64, 128])
        return (x - 0.5) ** 2

    assert searched(inside, max_trials=40).edge_warnings() == []


def test_zero_is_a_bound_that_cannot_be_widened(searched):
    search = searched(lambda hp: hp.Float("dropout", 0.0, 0.5, default=0.25))
    assert search.edge_warnings() == []


def test_the_end_of_a_list_is_an_edge(searched):
    search = searched(
        lambda hp: -hp.Choice("batch", [32, 64, 128]) - hp.Float("x", 1, 2)
    )
    assert any("at the upper bound 128" in each for each in search.edge_warnings())


@pytest.mark.parametrize(
    ("direction", "edge"), [("max", "upper bound 64 "), ("min", "lower bound 1 ")]
)
def test_an_edge_of_values_in_falling_order_has_its_right_name(
    searched, direction, edge
):
    def units(hp):
        hp.Float("other", 0.0, 1.0)
        return hp.Int("units", 1, 64, step=2, sampling="reverse_log")

    search = searched(units, direction=direction, max_trials=40)
    assert any(edge in sentence for sentence in search.edge_warnings())


@pytest.mark.parametrize("direction", ["min", "max"])
def test_the_best_so_far(searched, direction):
    info = searched(two, direction=direction).best_so_far_info()
    accumulate = np.minimum if direction == "min" else np.maximum
    np.testing.assert_array_equal(info["best"], accumulate.accumulate(info["score"]))


@pytest.mark.parametrize("direction", ["min", "max"])
def test_the_expected_best_is_that_of_all_samples(searched, direction):
    search = searched(
        lambda hp: hp.Float("x", 0.0, 1.0), direction=direction, max_trials=6
    )
    info = search.expected_best_info()
    scores = search.results().score.to_numpy()[1:]  # without the defaults
    best = np.min if direction == "min" else np.max
    for n in (1, 2, 3):
        grids = np.meshgrid(*[scores] * n)
        every = best(np.reshape(grids, (n, -1)), axis=0)  # with replacement
        assert info["mean"][n - 1] == pytest.approx(every.mean())
        # Tenths of what is as good or worse: from the worst to the best.
        every = np.sort(every if direction == "max" else -every)
        for name, q in (("low", 0.1), ("high", 0.9)):
            expected = abs(every[math.ceil(q * len(every)) - 1])
            assert info[name][n - 1] == pytest.approx(expected)
    assert info["trials"].tolist() == [1, 2, 3, 4, 5]


def test_sixty_random_trials_reach_the_best_twentieth():
    """1 - 0.95 ** 60 = 0.954, through the streams of the search."""
    from tuning.random_streams import uniform

    reached = [
        min(uniform(seed, trial, "x") for trial in range(60)) < 0.05
        for seed in range(2000)
    ]
    expected = 1 - 0.95**60
    assert expected == pytest.approx(0.954, abs=5e-4)
    deviation = math.sqrt(expected * (1 - expected) / 2000)
    assert abs(np.mean(reached) - expected) < 4 * deviation


@pytest.mark.heavy
def test_the_pictures_show_values_on_their_scale_and_every_range(searched):
    def function(hp):
        hp.Choice("kind", ["a", "b"])
        hp.Choice("batch", [32, 64, 128])
        return two(hp)

    search = searched(function)
    infos = {info["name"]: info for info in search.hyperparameters_info()}
    scales = {name: info["scale"] for name, info in infos.items()}
    assert scales == {
        **{"kind": "category", "batch": "log"},
        **{"rate": "log", "other": "linear"},
    }
    assert infos["rate"]["ranges"] == [(1e-4, 1.0)]
    assert infos["kind"]["ranges"] == [("a", "b")]
    figure = search.plot()
    labels = {axes.get_xlabel() for axes in figure.axes}
    assert labels == {"trial", "random trials", "kind", "batch", "rate", "other"}
    drawn = next(axes for axes in figure.axes if axes.get_xlabel() == "rate")
    assert drawn.get_xscale() == "log"
    assert len(drawn.collections[0].get_offsets()) == 30
    figure.canvas.draw()
    assert search.plot_best_so_far().axes[0].get_ylabel() == "score"
    assert search.plot_expected_best().axes[0].get_ylabel() == "best score"
    assert len(search.plot_hyperparameters().axes) == 4
    plt.close("all")


def test_a_search_without_trials_has_empty_tables_and_says_so(tmp_path):
    search = RandomSearch(
        lambda hp: hp.Float("x", 0.0, 1.0), "loss", seed=0, directory=tmp_path
    )
    assert search.results().empty
    assert search.history().empty
    assert search.edge_warnings() == []
    for use, what in ((search.plot, "Nothing to plot"), (search.best_model, "no best")):
        with pytest.raises(ValueError, match=f"{what}.*`search.search"):
            use()
    assert repr(search) == "RandomSearch: 0 of 20 trials are finished."
    assert search._repr_html_() == f"<p>{search!r}</p>"


@pytest.mark.heavy
@pytest.mark.parametrize(("rows", "columns"), [(10, 3), (40, 2)])
def test_importances_are_those_of_scikit_learn(rows, columns):
    generator = np.random.default_rng(rows)
    x = generator.random((rows, columns))
    y = np.round(4 * x[:, 0]) + np.round(generator.random(rows))
    expected = []
    for train, test in KFold(5, shuffle=True, random_state=1).split(x):
        forest = RandomForestRegressor(random_state=1).fit(x[train], y[train])
        found = permutation_importance(
            forest, x[test], y[test], n_repeats=10, random_state=1
        )
        expected.append(found.importances_mean)
    np.testing.assert_allclose(
        permutation_importances(x, y, 1), expected, rtol=1e-9, atol=1e-12
    )
