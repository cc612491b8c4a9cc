"""Trials that are interrupted in the middle of a training, and resumed there."""

import signal

import keras
import keras_tuner
import numpy as np
import pandas as pd
import pytest
from keras_tuner import errors

from tuning import MLPSpace, RandomSearch
from tuning.time_budget import TimeBudget
from zoo import datasets

EPOCHS = 3


class InterruptAt(keras.callbacks.Callback):
    """Raises or sends an interrupt before the n-th step of all trainings."""

    left = None  # shared by the copies that a search makes
    trained = 0

    def on_train_batch_begin(self, batch, logs=None):
        cls = type(self)
        if cls.left == 0:
            cls.left = None
            self.interrupt()
        if cls.left is not None:
            cls.left -= 1
        cls.trained += 1

    def interrupt(self):
        raise KeyboardInterrupt


class SignalAt(InterruptAt):
    def interrupt(self):
        signal.raise_signal(signal.SIGINT)


def data(batch_size=12):
    generator = np.random.default_rng(0)
    x = generator.normal(size=(48, 4)).astype("float32")
    y = (x[:, 0] > 0).astype(int)
    return datasets.from_arrays(train=(x, y), validation=0.25, batch_size=batch_size)


def build(hp):
    rate = hp.Float("rate", 1e-3, 1.0, sampling="log", default=0.01)
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss, run_eagerly=True)
    return model


def search(folder, hypermodel, stop=None, kind=InterruptAt, **options):
    """Runs a search, which is interrupted before a step, or not; returns its tables."""
    source = data()
    found = RandomSearch(
        hypermodel(source),
        "val_loss",
        3,
        seed=0,
        directory=folder,
        resume_trials=True,
        **options,
    )
    kind.left, kind.trained = stop, 0
    arguments = {"validation_data": source.validation, "epochs": EPOCHS, "verbose": 0}
    try:
        found.search(source.train, callbacks=[kind()], shuffle=False, **arguments)
    except KeyboardInterrupt:
        assert stop is not None
    else:
        assert stop is None
    return found.results().drop(columns="seconds"), found.history()


def check(folder, hypermodel, stop, kind=InterruptAt, **options):
    expected = search(folder / "straight", hypermodel, **options)
    steps = InterruptAt.trained
    search(folder / "killed", hypermodel, stop, kind, **options)
    tables = search(folder / "killed", hypermodel, kind=kind, **options)
    for table, other in zip(tables, expected, strict=True):
        pd.testing.assert_frame_equal(table, other)
    assert not list((folder / "killed").rglob("saves"))
    return steps, kind.trained


@pytest.mark.heavy
@pytest.mark.parametrize("executions", [1, pytest.param(2, marks=pytest.mark.heavy)])
def test_an_interrupted_trial_is_resumed(executions, tmp_path):
    per_epoch = 3
    steps = 3 * executions * EPOCHS * per_epoch
    stop = (executions + 1) * EPOCHS * per_epoch - 2  # in a third epoch
    straight, again = check(
        tmp_path, lambda source: build, stop, executions_per_trial=executions
    )
    assert straight == steps
    assert again == steps - stop + 1  # one step of that epoch is trained twice


@pytest.mark.heavy
def test_a_trial_of_a_space_is_resumed_in_the_middle_of_an_epoch(tmp_path):
    space = keras_tuner.HyperParameters()
    space.Int("layers", 1, 1)
    space.Int("units", 4, 8)
    space.Choice("batch_size", [6])
    check(tmp_path, MLPSpace, stop=22, kind=SignalAt, hyperparameters=space)


@pytest.mark.heavy
def test_a_trial_that_runs_out_of_time_is_resumed(tmp_path, monkeypatch):
    expected = search(tmp_path / "straight", lambda source: build)
    monkeypatch.setattr(
        TimeBudget,
        "is_used_up",
        lambda self: self.seconds is not None and InterruptAt.trained > self.seconds,
    )
    folder = tmp_path / "limited"
    search(folder, lambda source: build, time_budget=14)
    before = InterruptAt.trained
    assert before == 15  # the epoch in which the budget was used up
    assert list(folder.rglob("saves"))
    tables = search(folder, lambda source: build, time_budget=1000)
    assert before + InterruptAt.trained == 3 * EPOCHS * 3  # no step is repeated
    for table, other in zip(tables, expected, strict=True):
        pd.testing.assert_frame_equal(table, other)


def test_a_fit_of_ones_own_cannot_be_resumed(tmp_path):
    class Own(RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            return 0.0

    with pytest.raises(ValueError, match=r"`resume_trials`\. Expected False"):
        Own(build, "loss", 3, directory=tmp_path, resume_trials=True)


class Unpicklable(keras.callbacks.Callback):
    def __init__(self):
        super().__init__()
        self.function = lambda: None

    def __deepcopy__(self, memo):
        return type(self)()


def test_an_error_of_a_save_ends_the_search(tmp_path):
    source = data()
    found = RandomSearch(build, "loss", 3, directory=tmp_path, resume_trials=True)
    arguments = {"epochs": 1, "verbose": 0, "shuffle": False}
    with pytest.raises(errors.FatalValueError, match="cannot be saved: function"):
        found.search(source.train, callbacks=[Unpicklable()], **arguments)
    assert list(found.results()["status"]) == ["running"]  # not "failed"


@pytest.mark.heavy
def test_saves_of_finished_trials_are_removed(tmp_path):
    """A kill after a trial was recorded may leave them."""
    search(tmp_path, lambda source: build)
    folder = min(tmp_path.glob("*/trial_*"))
    (folder / "saves").mkdir()
    search(tmp_path, lambda source: build)
    assert not (folder / "saves").exists()
