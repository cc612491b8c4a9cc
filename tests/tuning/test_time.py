"""What a trial costs does not depend on how many there were: counted in calls."""

import cProfile
import pstats

import numpy as np
import pytest
from matplotlib import pyplot as plt

from tuning import CoarseToFineSearch, RandomSearch

pytestmark = pytest.mark.one_backend


def searches(cls, **options):
    class Search(cls):
        def run_trial(self, trial, *args, **kwargs):
            return sum(trial.hyperparameters.Float(n, 0.0, 1.0) for n in "abc")

    return Search(objective="loss", seed=0, **options)


def calls(function, *args, **kwargs) -> int:
    profile = cProfile.Profile()
    profile.runcall(function, *args, **kwargs)
    return sum(entry[1] for entry in pstats.Stats(profile).stats.values())


SIZES = 60, 240


@pytest.mark.parametrize("cls", [RandomSearch, CoarseToFineSearch])
def test_four_times_the_trials_cost_four_times_the_calls(cls, tmp_path):
    counts = []
    for trials in SIZES:
        options = {"max_trials": trials}
        if cls is CoarseToFineSearch:
            options = {"rounds": trials // 20, "trials_per_round": 20}
        search = searches(cls, directory=tmp_path, project_name=str(trials), **options)
        counts.append(calls(search.search, verbose=0))
    assert counts[1] / counts[0] < 5


@pytest.mark.heavy
def test_a_line_for_each_trial_costs_no_more(tmp_path, capsys):
    counts = []
    for trials in SIZES:
        search = searches(
            RandomSearch,
            directory=tmp_path,
            project_name=str(trials),
            max_trials=trials,
        )
        counts.append(calls(search.search))
    assert counts[1] / counts[0] < 5


def test_opening_a_search_again_costs_few_calls_a_trial(tmp_path):
    counts = []
    for trials in SIZES:
        options = {"max_trials": trials, "project_name": str(trials)}
        searches(RandomSearch, directory=tmp_path, **options).search(verbose=0)

        def again(options=options):
            searches(RandomSearch, directory=tmp_path, **options).search(verbose=0)

        counts.append(calls(again))
    # 10,000 trials at 1,000 calls each of 0.4 microseconds are 4 seconds.
    assert (counts[1] - counts[0]) / (SIZES[1] - SIZES[0]) < 1000


def test_trials_beyond_ten_thousand_keep_their_order(tmp_path):
    search = searches(RandomSearch, max_trials=3, directory=tmp_path)
    search.search(verbose=0)
    folder = search._project.folder
    for old, new in (("0002", "10000"), ("0001", "9999")):
        path = (folder / f"trial_{old}").rename(folder / f"trial_{new}") / "trial.json"
        text = path.read_text().replace(f'"trial_id": "{old}"', f'"trial_id": "{new}"')
        path.write_text(text)
    search.reload()
    assert search.results().trial.tolist() == [0, 9999, 10000]


def test_importance_predicts_few_times_for_many_hyperparameters(tmp_path):
    class Search(RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return sum(trial.hyperparameters.Float(f"x{i}", 0, 1) for i in range(200))

    from sklearn.ensemble import RandomForestRegressor

    search = Search(objective="loss", max_trials=12, seed=0, directory=tmp_path)
    search.search(verbose=0)
    predictions, predict = [], RandomForestRegressor.predict

    def counted(self, x):
        predictions.append(len(x))
        return predict(self, x)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(RandomForestRegressor, "predict", counted)
        search.importance()
    assert len(predictions) <= 5 * 2
    assert sum(predictions) == 12 * (200 * 10 + 1)


@pytest.mark.heavy
def test_a_picture_of_many_rounds_has_one_object_for_all_of_their_ranges(tmp_path):
    search = searches(
        CoarseToFineSearch, directory=tmp_path, rounds=100, trials_per_round=2
    )
    search.search(verbose=0)
    figure = search.plot_hyperparameters()
    for axes in figure.axes:
        points, bars = axes.collections
        assert len(points.get_offsets()) == 200
        assert len(bars.get_segments()) == 100
        assert len(axes.lines) <= 2  # outliers above and below
        heights = np.concatenate(bars.get_segments())[:, 1]
        assert -0.41 < heights.min() < heights.max() < 0  # as high as eight
    assert len(figure.legends[0].get_texts()) == 3
    plt.close(figure)
