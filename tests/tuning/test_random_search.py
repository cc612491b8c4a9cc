import gc
import json
import math
import sys
from types import SimpleNamespace

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest

from tuning import MLPSpace, RandomSearch, zero_or_log_uniform
from zoo import datasets, ensemble


def falling(hp, call):
    """Three epochs, the last the best."""
    return [{"loss": 1.0, "val_loss": hp.get("x") + 2 - epoch} for epoch in range(3)]


def status_of(search):
    return search.results().status.tolist()


@pytest.mark.heavy
def test_it_trains_the_model_and_keeps_the_weights_of_its_best_epoch(tmp_path):
    x = np.random.default_rng(0).normal(size=(64, 3))
    y = x @ np.array([[1.0], [2.0], [3.0]])

    def build(hp):
        rate = hp.Float("rate", 1e-3, 0.5, sampling="log", default=0.1)
        model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
        model.compile(keras.optimizers.SGD(rate), "mse", metrics=["mae"])
        return model

    search = RandomSearch(
        build, "val_mae", 3, seed=0, directory=tmp_path, project_name="linear"
    )
    search.search(x, y, validation_data=(x, y), epochs=3, verbose=0)
    results, history = search.results(), search.history()
    assert results.status.tolist() == ["completed"] * 3
    assert history.groupby("trial").size().tolist() == [3, 3, 3]
    assert set(history.columns) >= {"epoch", "loss", "mae", "val_loss", "val_mae"}
    for row in results.itertuples():
        curve = history[history.trial == row.trial].val_mae
        assert row.score == pytest.approx(curve.min())
    model = search.best_model()
    predicted = keras.ops.convert_to_numpy(model(x))
    assert np.abs(predicted - y).mean() == pytest.approx(results.score.min(), rel=1e-4)
    # What takes a Tuner takes it.
    assert isinstance(search, keras_tuner.Tuner)
    best = search.get_best_hyperparameters()[0].get("rate")
    assert best == results.rate[results.score.idxmin()]
    outputs = ensemble.average(search.best_models(2), task="regression")
    assert outputs.output_shape == (None, 1)


@pytest.mark.heavy
def test_a_search_with_a_seed_can_be_repeated(curves):
    values = []
    for name in "ab":
        search = curves(falling, project_name=name)
        search.search(verbose=0)
        values.append(search.results().x.tolist())
    other = curves(falling, project_name="c", seed=1)
    other.search(verbose=0)
    assert values[0] == values[1]
    assert not set(values[0][1:]) & set(other.results().x.tolist()[1:])


def test_without_a_seed_it_is_kept_with_the_search(curves):
    settings = {"seed": None, "project_name": "random"}
    search = curves(falling, **settings)
    assert curves(falling, **settings).oracle.seed == search.oracle.seed
    assert curves(falling, **settings, overwrite=True).oracle.seed != search.oracle.seed


def test_what_is_drawn_does_not_depend_on_what_is_known(tmp_path):
    """Units of a third layer have one value, whenever a build first asks for them."""

    def build(hp):
        for layer in range(hp.Int("layers", 1, 3)):
            hp.Int(f"units_{layer}", 1, 10**6)

    class Untrained(RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            self.hypermodel.build(trial.hyperparameters)
            return 0.0

    known = keras_tuner.HyperParameters()
    for layer in range(3):
        known.Int(f"units_{layer}", 1, 10**6)
    runs = []
    for name, hyperparameters in (("new", None), ("known", known)):
        search = Untrained(
            build,
            "loss",
            30,
            seed=0,
            hyperparameters=hyperparameters,
            directory=tmp_path,
            project_name=name,
        )
        search.search(verbose=0)
        runs.append(search.results().iloc[1:])
    deep = runs[0][runs[0].layers == 3]
    assert len(deep) >= 2
    columns = ["layers", "units_0", "units_1", "units_2"]
    pd.testing.assert_frame_equal(
        deep[columns], runs[1].loc[deep.index, columns], check_dtype=False
    )
    assert deep.units_2.nunique() == len(deep)


def test_no_two_trials_are_alike_and_a_small_space_is_exhausted(tmp_path, capsys):
    class Grid(RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return 0.0

    hp = keras_tuner.HyperParameters()
    hp.Choice("a", [1, 2, 3])
    hp.Boolean("b")
    search = Grid(
        objective="loss", max_trials=50, seed=0, hyperparameters=hp, directory=tmp_path
    )
    search.search()
    results = search.results()
    assert len(results) == 6
    assert not results.duplicated(["a", "b"]).any()
    assert "the space is exhausted" in capsys.readouterr().out


def test_my_values_come_first_then_the_defaults(curves):
    search = curves(falling, initial_trials=[{"x": 0.25}, {"x": 0.75}])
    search.search(verbose=0)
    assert search.results().x.tolist()[:3] == [0.25, 0.75, 0.5]


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"x": 2.0}, "Expected a value from 0.0 to 1.0. Received: x=2.0"),
        ({"z": 1}, r"names of hyperparameters that these values have: 'x'"),
        ({"X": 0.1}, r"Received: .*\['X'\]\nDid you mean 'x'\?"),
        ("x", "dicts of values"),
    ],
)
def test_initial_values_are_checked(curves, given, message):
    with pytest.raises(ValueError, match=message):
        curves(falling, initial_trials=[given])


def test_a_failed_trial_is_recorded_and_never_the_best(curves):
    def fails(hp, call):
        if call == 1:
            raise OSError("the disk is full")
        return falling(hp, call)

    search = curves(fails)
    search.search(verbose=0)
    results = search.results()
    assert status_of(search) == ["completed", "failed", "completed", "completed"]
    assert results.error[1] == "OSError: the disk is full"
    assert math.isnan(results.score[1])
    assert 1 not in [t.number for t in search.oracle.get_best_trials(4)]
    trial = json.loads(next(search._project.folder.glob("*01/trial.json")).read_text())
    assert "Traceback" in trial["message"]


@pytest.mark.heavy
@pytest.mark.parametrize("name", ["loss", "val_loss"])
@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_a_divergence_ends_the_trial_and_is_no_failure(curves, name, value):
    # Accuracy is finite where the loss is not.
    def diverges(hp, call):
        logs = [{"loss": 1.0, "val_loss": 1.0, "accuracy": 0.9} for _ in range(4)]
        if call:
            logs[1][name] = value
        return logs

    search = curves(diverges, "accuracy", 6, max_consecutive_failed_trials=1)
    search.search(verbose=0)
    results = search.results()
    assert status_of(search) == ["completed"] + ["diverged"] * 5
    assert results.error[1] == f"{name} is {value} in epoch 2"
    assert results.epochs.tolist() == [4] + [2] * 5
    assert [t.number for t in search.oracle.get_best_trials(6)] == [0]


@pytest.mark.heavy
def test_failures_in_a_row_end_the_search_and_leave_it_whole(curves):
    broken = True

    def fails(hp, call):
        if broken:
            raise ValueError("no such file")
        return falling(hp, call)

    search = curves(fails, max_trials=6)
    with pytest.raises(RuntimeError, match="All trials failed.*\n.*no such file"):
        search.search(verbose=0)
    assert status_of(search) == ["failed"] * 3
    broken = False
    again = curves(fails, max_trials=6)
    again.search(verbose=0)
    assert status_of(again) == ["failed"] * 3 + ["completed"] * 3
    assert (again._project.folder / "results.csv").exists()


@pytest.mark.heavy
def test_it_goes_on_where_it_ended(curves):
    search = curves(falling, max_trials=2)
    search.search(verbose=0)
    again = curves(falling, max_trials=4)
    assert again.remaining_trials == 2
    again.search(verbose=0)
    assert again.hypermodel.calls == 2
    straight = curves(falling, max_trials=4, project_name="straight")
    straight.search(verbose=0)
    assert again.results().x.tolist() == straight.results().x.tolist()


@pytest.mark.heavy
def test_an_interrupted_trial_is_repeated_with_the_same_values(curves):
    def stops(hp, call):
        if call == 2:
            raise KeyboardInterrupt
        return falling(hp, call)

    search = curves(stops)
    with pytest.raises(KeyboardInterrupt):
        search.search(verbose=0)
    assert status_of(search) == ["completed", "completed", "running"]
    interrupted = search.results().x[2]
    again = curves(falling)
    again.search(verbose=0)
    assert again.results().x[2] == interrupted
    assert again.hypermodel.calls == 2
    search.search(verbose=0)  # the first object sees what the other has done
    assert search.hypermodel.calls == 3


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"seed": 1}, "  seed: 0 there, 1 here"),
        ({"objective": "loss"}, "  objective: 'val_loss' there, 'loss' here"),
        ({"executions_per_trial": 2}, "  executions_per_trial: 1 there, 2 here"),
        ({"folds": 3}, "  folds: None there, 3 here"),
        ({"prune": True}, "  prune: False there, True here"),
        ({"initial_trials": [{"x": 0.1}]}, "  initial_trials: "),
    ],
)
def test_changed_settings_are_named(curves, options, message):
    curves(falling)
    with pytest.raises(ValueError, match=message):
        curves(falling, **options)
    curves(falling, **options, overwrite=True)


def test_changed_arguments_of_fit_are_named(curves):
    curves(falling).search(epochs=3, verbose=0)
    with pytest.raises(ValueError, match="  fit.epochs: 3 there, 5 here"):
        curves(falling, max_trials=9).search(epochs=5, verbose=0)


def test_arguments_of_fit_may_be_mended_after_failures(curves):
    def failing(hp, call):
        raise OSError("epochs")

    with pytest.raises(RuntimeError, match="All trials failed"):
        curves(failing, max_trials=1).search(epochs="many", verbose=0)
    again = curves(falling, max_trials=2)
    again.search(epochs=3, verbose=0)
    assert status_of(again) == ["failed", "completed"]


def test_overwriting_removes_the_search_and_nothing_else(curves):
    search = curves(falling)
    search.search(verbose=0)
    mine = search._project.folder / "notes.txt"
    mine.write_text("mine")
    assert len(curves(falling, overwrite=True).results()) == 0
    assert mine.read_text() == "mine"


def test_a_project_of_stock_kerastuner_is_refused(curves, tmp_path):
    (tmp_path / "search").mkdir()
    (tmp_path / "search" / "oracle.json").write_text("{}")
    with pytest.raises(ValueError, match="KerasTuner's own tuners"):
        curves(falling)


def test_two_searches_in_one_folder_are_refused(curves):
    first = curves(falling)
    second = curves(falling)
    refused = []

    def searches(hp, call):
        if call == 0:
            with pytest.raises(RuntimeError, match="Another search is running"):
                second.search(verbose=0)
            with pytest.raises(RuntimeError, match="Another search is running"):
                curves(falling, overwrite=True)
            refused.append(len(second.results()))  # but its results can be read
        return falling(hp, call)

    first.hypermodel.curve = searches
    first.search(verbose=0)
    assert refused == [0]
    second.search(verbose=0)  # all is done
    assert second.hypermodel.calls == 0


def test_an_objective_that_is_not_logged_says_what_is(curves):
    search = curves(falling, "val_accuracy")
    with pytest.raises(ValueError, match="logs: 'loss', 'val_loss'.*val_accuracy"):
        search.search(verbose=0)


def test_a_list_of_objectives_says_which_is_not_logged(curves):
    other = keras_tuner.Objective("val_los", "min")
    search = curves(falling, ["loss", other])
    with pytest.raises(ValueError, match="'val_los'\nDid you mean 'val_loss'"):
        search.search(verbose=0)


def test_an_objective_is_missed_if_validation_is_not_in_every_epoch(tmp_path):
    class Own(RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            trial.hyperparameters.Float("x", 0.0, 1.0)
            history = keras.callbacks.History()
            history.history = {"loss": [3.0, 2.0], "val_loss": [1.0]}
            return history

    search = Own(None, "val_accuracy", 2, directory=tmp_path, project_name="missed")
    with pytest.raises(ValueError, match="objective='val_accuracy'"):
        search.search(verbose=0)
    assert status_of(search) == ["running"]
    search = Own(None, "val_loss", 2, directory=tmp_path, project_name="logged")
    search.search(verbose=0)
    assert search.results().score.tolist() == [1.0, 1.0]


def test_plain_training_says_so_after_one_epoch(tmp_path):
    epochs = []

    class Count(keras.callbacks.Callback):
        def __deepcopy__(self, memo):
            return self

        def on_epoch_begin(self, epoch, logs=None):
            epochs.append(epoch)

    def build(hp):
        hp.Float("x", 0.0, 1.0)
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
        model.compile("sgd", "mse")
        return model

    search = RandomSearch(build, "val_loss", 2, seed=0, directory=tmp_path)
    x = np.ones((8, 1))
    with pytest.raises(ValueError, match="Pass `validation_data` to `search`"):
        search.search(x, x, epochs=5, verbose=0, callbacks=[Count()])
    assert epochs == [0]


@pytest.mark.parametrize(
    ("declare", "message"),
    [
        (lambda hp: hp.Float("rate", 1.0, 0.1), "above min_value=1.0 of .* 'rate'"),
        (lambda hp: hp.Int("units", 8, 8), "above min_value=8 .*\n.*hp.Fixed"),
        (
            lambda hp: hp.Float("decay", 0.0, 0.1, sampling="log"),
            r"no zero.*\n.*zero_or_log_uniform\(hp, 'decay', low, high\)",
        ),
        (lambda hp: zero_or_log_uniform(hp, "decay", 0, 1), "a number > 0 for 'decay'"),
    ],
)
def test_bad_ranges_are_refused_where_the_search_is_made(tmp_path, declare, message):
    with pytest.raises(ValueError, match=message):
        RandomSearch(declare, "loss", directory=tmp_path)


def test_a_build_that_always_raises_does_so_where_the_search_is_made(tmp_path):
    def build(hp):
        raise KeyError("units")

    with pytest.raises(KeyError, match="units"):
        RandomSearch(build, "loss", directory=tmp_path)


def test_a_build_that_sometimes_raises_and_a_model_too_large_are_failures(tmp_path):
    def build(hp):
        kind = hp.Choice("kind", ["small", "large", "huge", "broken"])
        if kind == "broken":
            raise ValueError("cannot be built")
        if kind == "huge":
            raise MemoryError("Unable to allocate 8 TiB")
        units = {"small": 1, "large": 100}[kind]
        model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(units)])
        model.compile("sgd", "mse")
        return model

    search = RandomSearch(
        build,
        "loss",
        4,
        seed=0,
        max_model_size=10,
        max_consecutive_failed_trials=4,
        directory=tmp_path,
    )
    search.search(np.ones((4, 1)), np.ones((4, 1)), verbose=0)
    results = search.results().set_index("kind")
    assert results.status.to_dict() == {
        **dict.fromkeys(["large", "huge", "broken"], "failed"),
        "small": "completed",
    }
    assert "The model has 200 parameters" in results.error["large"]
    assert results.error["huge"] == "MemoryError: Unable to allocate 8 TiB"


def test_executions_are_averaged_and_all_their_curves_kept(curves):
    def noisy(hp, call):
        return [{"loss": 1.0, "val_loss": float(call)}, {"loss": 1.0, "val_loss": 9.0}]

    search = curves(noisy, max_trials=2, executions_per_trial=3)
    search.search(verbose=0)
    results = search.results()
    assert results.score.tolist() == [1.0, 4.0]
    assert results.score_std.tolist() == [1.0, 1.0]
    assert results.epochs.tolist() == [6, 6]
    history = search.history()
    assert history.groupby(["trial", "execution"]).size().tolist() == [2] * 6
    assert search.best_model().get_weights()[0][0, 0] == 0  # its first epoch


def test_folds_validate_on_every_example_once(curves):
    x = np.arange(20.0)[:, None]
    y = np.arange(20) % 2

    search = curves(falling, max_trials=2, folds=4)
    search.search(x, y, verbose=0)
    first, second = search.hypermodel.arguments[:4], search.hypermodel.arguments[4:]
    seen = np.concatenate([k["validation_data"][0][:, 0] for _, k in first])
    assert sorted(seen) == list(range(20))
    for (train_x, train_y), options in first:
        assert len(train_x) == len(train_y) == 15
        assert not set(train_x[:, 0]) & set(options["validation_data"][0][:, 0])
        assert 2 <= options["validation_data"][1].sum() <= 3  # as many of each class
    for (train, _), (again, _) in zip(first, second, strict=True):
        np.testing.assert_array_equal(train[0], again[0])
    assert len(search.history().query("trial == 0").execution.unique()) == 4


def test_folds_of_a_shuffled_dataset_are_always_the_same(curves):
    x = np.random.default_rng(0).normal(size=(40, 2)).astype("float32")
    data = datasets.from_arrays((x, np.arange(40) % 2), validation=0, batch_size=8)
    search = curves(falling, max_trials=1, folds=2)
    search.search(data.train, verbose=0)
    ((train,), options), _ = search.hypermodel.arguments
    assert train.batch_size == 8
    seen = [
        np.concatenate([each for each, _ in part])
        for part in (train, options["validation_data"])
    ]
    assert sorted(map(tuple, np.concatenate(seen))) == sorted(map(tuple, x))


def test_folds_leave_no_room_for_validation_data(curves):
    search = curves(falling, folds=2)
    x = np.ones((4, 1))
    with pytest.raises(ValueError, match="`validation_data`. Expected None"):
        search.search(x, x, validation_data=(x, x), verbose=0)
    with pytest.raises(ValueError, match="`folds`. Expected at most 1"):
        search.search(x[:1], x[:1], verbose=0)
    with pytest.raises(ValueError, match="`x`. Expected arrays"):
        search.search(iter([x]), verbose=0)


def test_hopeless_trials_are_pruned_and_not_failed(curves):
    def curve(hp, call):
        level = 5.0 if call in (6, 8) else -call / 10
        return [{"loss": 1.0, "val_loss": level - epoch / 100} for epoch in range(10)]

    search = curves(curve, max_trials=10, prune=True)
    search.search(verbose=0)
    results = search.results()
    assert [i for i, s in enumerate(results.status) if s == "pruned"] == [6, 8]
    assert results.epochs[6] == 2
    assert results.error[6] == "val_loss is 4.99 after 2 epochs, and the median -0.26"
    assert results.score[6] == pytest.approx(4.99)
    assert results.score.idxmin() == 9
    assert search.oracle.get_best_trials(10)[-1].number == 0


def test_the_time_budget_ends_the_search_and_counts_all_calls(
    curves, capsys, monkeypatch
):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    for module in ("time_budget", "training.trial_outcome"):
        monkeypatch.setattr(f"tuning.{module}.time", clock)

    def slow(hp, call):
        clock.now += 0.2
        return falling(hp, call)

    curves(slow, max_trials=50, time_budget=0.7).search()
    assert "the time budget of 0.7 s is used up" in capsys.readouterr().out
    again = curves(slow, max_trials=50, time_budget=0.7)
    assert status_of(again) == ["completed"] * 3 + ["running"]
    again.search(verbose=0)  # a tenth of a second is left, and not enough
    assert again.hypermodel.calls == 1
    assert status_of(again) == ["completed"] * 3 + ["running"]
    more = curves(slow, max_trials=5, time_budget=60)
    more.search(verbose=0)
    assert status_of(more) == ["completed"] * 5


def test_only_the_best_checkpoints_are_kept(curves):
    search = curves(falling, max_trials=8, checkpoints=2)
    search.search(verbose=0)
    best = search.results().score.nsmallest(2).index.tolist()
    kept = sorted(search._project.folder.glob("trial_*/checkpoint.weights.h5"))
    assert [int(path.parent.name[6:]) for path in kept] == sorted(best)
    models = search.best_models(2)
    assert [model.get_weights()[0][0, 0] for model in models] == [2, 2]  # last epochs
    with pytest.raises(ValueError, match="Pass `checkpoints` to keep more"):
        search.best_models(3)


def test_without_a_completed_trial_there_is_no_best_model(curves):
    with pytest.raises(ValueError, match="There is no best model. No trial has been"):
        curves(falling).best_model()


def test_lost_and_half_written_files_do_no_harm(curves):
    search = curves(falling, max_trials=3)
    search.search(verbose=0)
    folder = search._project.folder
    (folder / "trial_0003").mkdir()
    (folder / "trial_0001" / ".trial-x8s7.json").write_text('{"half')
    again = curves(falling, max_trials=5)
    again.search(verbose=0)
    assert status_of(again) == ["completed"] * 5
    assert not list(folder.glob("**/.*"))


@pytest.mark.heavy
def test_no_model_outlives_its_trial(curves):
    search = curves(falling, max_trials=12)
    search.search(verbose=0)
    gc.collect()
    models = sum(issubclass(type(each), keras.Sequential) for each in gc.get_objects())
    assert models <= 2


@pytest.mark.slow
def test_memory_does_not_grow_over_100_trials(tmp_path):
    resource = pytest.importorskip("resource")  # not on Windows
    unit = 1 if sys.platform == "darwin" else 1024
    peaks = []

    def build(hp):
        peaks.append(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)
        rate = hp.Float("rate", 1e-4, 1e-2, sampling="log")
        layers = [keras.layers.Dense(1000), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((500,)), *layers])
        model.compile(keras.optimizers.Adam(rate), "mse")
        return model

    search = RandomSearch(build, "loss", 110, seed=0, directory=tmp_path)
    search.search(np.ones((32, 500)), np.ones((32, 1)), epochs=1, verbose=0)
    # A model and its Adam are 6 MB: 100 that stay would be 600.
    assert peaks[109] - peaks[9] < 100e6


def test_hooks_of_a_tuner_are_called(curves):
    calls = []

    class Hooked(RandomSearch):
        def on_epoch_end(self, trial, model, epoch, logs=None):
            calls.append((trial.number, epoch))

    search = curves(falling, max_trials=2, cls=Hooked)
    search.search(verbose=0)
    assert calls == [(trial, epoch) for trial in range(2) for epoch in range(3)]


@pytest.mark.parametrize(
    ("result", "score"), [(2.0, 2.0), ({"val_loss": 3.0}, 3.0), ([1.0, 2.0], 1.5)]
)
def test_a_run_trial_of_ones_own_may_return_what_kerastuner_allows(
    tmp_path, result, score
):
    class Own(RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            trial.hyperparameters.Float("x", 0.0, 1.0)
            return result

    search = Own(objective="val_loss", max_trials=1, seed=0, directory=tmp_path)
    search.search(verbose=0)
    assert search.results().score.tolist() == [score]


def test_a_list_of_objectives_is_their_sum(tmp_path):
    class Own(RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            x = trial.hyperparameters.Float("x", 0.0, 1.0)
            return {"val_loss": x, "val_accuracy": 0.25}

    def search(*objective):
        return Own(objective=list(objective), max_trials=2, seed=0, directory=tmp_path)

    first = search("val_loss", "val_accuracy")
    first.search(verbose=0)
    results = first.results()
    assert results.score.tolist() == (results.x - 0.25).tolist()
    with pytest.raises(ValueError, match="objectives.val_precision"):
        search("val_loss", "val_precision")


def test_a_plain_training_needs_an_objective(tmp_path):
    with pytest.raises(ValueError, match="Expected a name in the logs"):
        RandomSearch(lambda hp: None, max_trials=2, directory=tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_line_of_a_trial_says_what_came_of_it(curves, capsys):
    curves(falling, max_trials=2).search()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("2 trials, in ")
    start = "trial 0 (1 of 2): val_loss 0.5, best 0.5 (trial 0), "
    assert lines[1].startswith(start)
    assert lines[1].endswith(" left; x=0.5")


@pytest.mark.heavy
def test_the_end_says_which_hyperparameters_matter(parabola, capsys):
    search = parabola(max_trials=30)
    search.search()
    *_, importance = capsys.readouterr().out.splitlines()
    _, value, std = search.importance().loc[0]
    assert importance == f"importance: x {value:.2f} (std {std:.2f})"
    search.search()  # without a trial, there is nothing new
    assert "importance" not in capsys.readouterr().out


def test_the_end_warns_of_a_range_that_is_too_narrow(tmp_path, capsys):
    class Rising(RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return -trial.hyperparameters.Float("x", 0.0, 1.0)

    settings = {"initial_trials": [{"x": 1.0}, {"x": 0.9}], "seed": 0}
    search = Rising(max_trials=9, directory=tmp_path, **settings)
    search.search()
    lines = capsys.readouterr().out.splitlines()
    assert search.edge_warnings() == [lines[-1]]
    assert "the upper bound 1 of its range: widen it." in lines[-1]


@pytest.mark.parametrize("max_trials", [2, 3])
def test_a_search_whose_trials_all_fail_shows_the_first_error(tmp_path, max_trials):
    class Failing(RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            trial.hyperparameters.Float("x", 0.0, 1.0)
            raise OSError(f"no file {trial.number}")

    search = Failing(max_trials=max_trials, seed=0, directory=tmp_path)
    message = rf"All trials failed \({max_trials}\).*\nOSError: no file 0\n"
    with pytest.raises(RuntimeError, match=message):
        search.search(verbose=0)
    assert "raise OSError" in search.oracle.trials["0000"].message
    with pytest.raises(ValueError, match="no best model.*failed: OSError: no file 0"):
        search.best_model()


def test_a_search_with_one_good_trial_does_not_fail(tmp_path):
    class Failing(RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            trial.hyperparameters.Float("x", 0.0, 1.0)
            if trial.number != 1:
                raise OSError("no file")
            return 1.0

    search = Failing(max_trials=3, seed=0, directory=tmp_path)
    search.search(verbose=0)
    assert status_of(search) == ["failed", "completed", "failed"]
    assert repr(search).startswith(
        "Failing: 3 of 3 trials are finished (2 failed, 1 completed). "
    )


def test_ctrl_c_says_how_to_continue_in_one_line(tmp_path):
    class Stopped(RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            if trial.number == 1:
                raise KeyboardInterrupt
            return trial.hyperparameters.Float("x", 0.0, 1.0)

    search = Stopped(max_trials=3, seed=0, directory=tmp_path)
    with pytest.raises(KeyboardInterrupt) as stopped:
        search.search(verbose=0)
    # Python prints the text of an uncaught `SystemExit`, without a traceback.
    assert isinstance(stopped.value, SystemExit)
    assert str(stopped.value) == stopped.value.code
    assert str(stopped.value) == (
        f"Interrupted: all finished trials are in '{search._project.folder}'. To "
        "continue the search, run the same program again."
    )
    assert status_of(search) == ["completed", "running"]


@pytest.mark.parametrize(
    "options",
    [
        {"max_trials": 0},
        {"seed": -1},
        {"executions_per_trial": 0},
        {"folds": 1},
        {"prune": "median"},
        {"time_budget": 0},
        {"checkpoints": -1},
        {"max_consecutive_failed_trials": 0},
        {"max_model_size": 0},
        {"overwrite": "yes"},
        {"folds": 2, "executions_per_trial": 2},
        {"hyperparameters": {"x": 0.5}},
        {"directory": 3},
        {"project_name": 3},
    ],
)
def test_invalid_arguments_are_named(curves, options):
    with pytest.raises(ValueError, match=f"`{list(options)[-1]}`"):
        curves(falling, **options)


@pytest.mark.parametrize("hypermodel", [None, 5, keras.Sequential])
def test_what_is_no_hypermodel_is_named(tmp_path, hypermodel):
    with pytest.raises(ValueError, match="`hypermodel`.*Received: hypermodel="):
        RandomSearch(hypermodel, "loss", directory=tmp_path)


@pytest.mark.one_backend
def test_a_model_and_a_class_are_refused_with_what_to_write(tmp_path):
    model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(1)])
    model.compile("sgd", "mse")
    with pytest.raises(ValueError, match=r"def build\(hp\):(.|\n)*RandomSearch\(build"):
        RandomSearch(model, "loss", directory=tmp_path)
    with pytest.raises(ValueError, match=r"Pass an instance, `MLPSpace\(...\)`"):
        RandomSearch(MLPSpace, "loss", directory=tmp_path)


@pytest.mark.one_backend
def test_the_accuracies_of_our_trainers_are_maximized(tmp_path):
    search = RandomSearch(lambda hp: None, "val_robust_accuracy", directory=tmp_path)
    assert search.oracle.objective.direction == "max"
