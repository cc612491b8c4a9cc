"""Trials on an executor, whose workers are threads of this process."""

import dataclasses
import threading
from concurrent.futures import Future, ThreadPoolExecutor

import keras_tuner
import pandas as pd
import pytest

from tuning import RandomSearch
from tuning.workers import remote_trial
from tuning.workers.trial_task import run_trial

pytestmark = pytest.mark.one_backend


class Line(RandomSearch):
    def run_trial(self, trial, *args, **kwargs):
        return trial.hyperparameters.Float("x", 0.0, 1.0)


def make(tmp_path, name):
    space = keras_tuner.HyperParameters()
    space.Float("x", 0.0, 1.0)  # so that the first trial need not run alone
    return Line(
        objective="loss",
        max_trials=8,
        seed=0,
        hyperparameters=space,
        directory=tmp_path,
        project_name=name,
    )


@pytest.fixture
def received(monkeypatch):
    """Runs trials without new processes, and returns the sizes of the sent searches."""
    sizes = []
    guard = threading.Lock()

    def run(pool, path, task):
        with guard:  # two searches in one process would share random states
            return dataclasses.replace(run_trial(path, task), worker="elsewhere")

    new_pool = remote_trial._new_pool

    def remember(parcel, environment):
        sizes.append(len(parcel))
        return new_pool(parcel, environment)

    monkeypatch.setattr(remote_trial, "run_in_slot", run)
    monkeypatch.setattr(remote_trial, "_new_pool", remember)
    monkeypatch.setattr(remote_trial, "_pools", {})
    yield sizes
    for pool in remote_trial._pools.values():
        pool.close()


def test_any_executor_runs_the_trials_and_receives_the_search_once(
    tmp_path, received, capsys
):
    straight = make(tmp_path, "straight")
    straight.search(verbose=0)
    search = make(tmp_path, "executor")
    with ThreadPoolExecutor(3) as executor:
        search.search(executor=executor, workers=3)
    tables = [each.results().drop(columns="seconds") for each in (straight, search)]
    pd.testing.assert_frame_equal(*tables)
    assert len(received) == 1
    printed = capsys.readouterr().out
    assert "8 trials, 3 at a time" in printed
    assert printed.count(" on elsewhere: loss ") == 8


def test_a_search_that_has_not_been_used_for_long_is_forgotten(
    tmp_path, received, monkeypatch
):
    with ThreadPoolExecutor(1) as executor:
        make(tmp_path, "first").search(executor=executor, workers=1, verbose=0)
        (first,) = remote_trial._pools.values()
        monkeypatch.setattr(remote_trial, "IDLE_SECONDS", 0.0)
        make(tmp_path, "second").search(executor=executor, workers=1, verbose=0)
    assert first not in remote_trial._pools.values()
    assert not first.folder.exists()


class Stopped(ThreadPoolExecutor):
    """Runs nothing, and cancels what waits."""

    def __init__(self):
        super().__init__(1)
        self.futures = []

    def submit(self, function, *args):
        future = Future()
        self.futures.append(future)
        if len(self.futures) == 2:
            self.futures[0].cancel()
            self.futures[0].set_running_or_notify_cancel()
        return future


def test_trials_that_wait_are_cancelled_when_a_search_ends(tmp_path):
    executor = Stopped()
    with pytest.raises(RuntimeError, match="The executor has stopped running trials"):
        make(tmp_path, "stopped").search(executor=executor, workers=2, verbose=0)
    assert all(future.cancelled() for future in executor.futures)
