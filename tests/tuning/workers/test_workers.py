"""Searches whose trials run in processes, some of which are killed."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import cloudpickle
import keras
import numpy as np
import pandas as pd
import pytest

from tuning import CoarseToFineSearch, RandomSearch
from tuning.workers import process_slot
from tuning.workers.slot_process import call

pytestmark = pytest.mark.skipif(
    not hasattr(os, "fork"), reason="kills processes as POSIX does"
)
cloudpickle.register_pickle_by_value(sys.modules[__name__])


def build(hp):
    rate = hp.Float("rate", 1e-3, 0.5, sampling="log", default=0.1)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(1)])
    model.compile(keras.optimizers.SGD(rate), "mse", metrics=["mae"])
    return model


@pytest.mark.heavy
def test_two_workers_train_as_one_process_does(tmp_path, monkeypatch):
    x = np.random.default_rng(0).normal(size=(64, 3)).astype("float32")
    y = x @ np.array([[1.0], [2.0], [3.0]], "float32")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    searches = []
    for workers in (None, 2):
        search = RandomSearch(
            build,
            "val_mae",
            4,
            seed=0,
            checkpoints=2,
            directory=tmp_path,
            project_name=str(workers),
        )
        search.search(
            x,
            y,
            validation_data=lambda: (x, y),  # is called in each worker
            epochs=2,
            batch_size=8,
            verbose=0,
            workers=workers,
        )
        searches.append(search)
    one, two = (
        (search.results().drop(columns="seconds"), search.history())
        for search in searches
    )
    for table, other in zip(one, two, strict=True):
        # JAX may sum in another order with another number of threads.
        pd.testing.assert_frame_equal(table, other, rtol=1e-5)
    kept = [
        sorted(search._project.folder.glob("trial_*/checkpoint.weights.h5"))
        for search in searches
    ]
    assert [path.parent.name for path in kept[0]] == [p.parent.name for p in kept[1]]
    assert len(kept[0]) == 2
    predictions = [search.best_model().predict(x, verbose=0) for search in searches]
    np.testing.assert_allclose(*predictions, rtol=1e-4, atol=1e-5)
    assert not list(searches[1]._project.folder.glob("workers-*"))


def die(path, times=1):
    """Kills this process, but only the first few times."""
    deaths = len(path.read_text()) if path.exists() else 0
    if deaths < times:
        path.write_text("x" * (deaths + 1))
        os.kill(os.getpid(), signal.SIGKILL)


class Unpickled:
    """Kills the first worker that receives it."""

    def __init__(self, path):
        self.path = path

    def __setstate__(self, state):
        vars(self).update(state)
        die(self.path)


class Bowl(CoarseToFineSearch):
    """A search without models. Trial 5 kills its workers, or fails in the driver."""

    def run_trial(self, trial, *args, **kwargs):
        hp = trial.hyperparameters
        if trial.number == 5:
            if os.getpid() != self.driver:
                die(self.folder / "during", times=3)
            raise OSError("poison")
        x = hp.Float("x", 1e-3, 1.0, sampling="log", default=0.5)
        kind = hp.Choice("kind", ["a", "b", "c"])
        y = hp.Float("y", 0.0, 1.0) if kind == "b" else 0.0
        return (x - 0.2) ** 2 + (kind == "a") + y / 9


@pytest.mark.slow
@pytest.mark.one_backend
def test_trials_whose_workers_are_killed_run_again(tmp_path, monkeypatch, capsys):
    def call_and_die(path):
        call(path)
        die(tmp_path / "after")

    monkeypatch.setattr(process_slot, "call", call_and_die)
    searches = []
    for workers in (None, 2):
        search = Bowl(
            rounds=2,
            trials_per_round=8,
            seed=0,
            objective="loss",
            directory=tmp_path,
            project_name=str(workers),
        )
        search.driver, search.folder = os.getpid(), tmp_path
        search.before = Unpickled(tmp_path / "before")
        search.search(workers=workers)
        searches.append(search.results().drop(columns="seconds"))
    deaths = {"before": 1, "during": 3, "after": 1}
    assert {name: len((tmp_path / name).read_text()) for name in deaths} == deaths
    # The trial whose result was there is not run again, and the poisonous one twice.
    printed = capsys.readouterr().out
    assert printed.count("its worker died, and the trial is run again") == 3
    assert searches[1].error[5].startswith("its worker died 3 times")
    pd.testing.assert_frame_equal(
        *(table.drop(columns="error") for table in searches), check_exact=True
    )


# A program without a guard around its main part, that can be interrupted.
SCRIPT = """
import os, sys, time
from pathlib import Path
from tuning import CoarseToFineSearch

folder, name, workers = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
driver = os.getpid()


class Bowl(CoarseToFineSearch):
    def run_trial(self, trial, *args, **kwargs):
        x = trial.hyperparameters.Float("x", 0.0, 1.0)
        y = trial.hyperparameters.Float("y", 0.0, 1.0)
        if os.getpid() != driver:
            time.sleep(0.3)
        return (x - 0.2) ** 2 + y / 9


search = Bowl(rounds=2, trials_per_round=8, seed=0, objective="loss",
              directory=folder, project_name=name)
search.search(workers=workers)
search.results().drop(columns="seconds").to_csv(folder / f"{name}.csv")
"""


def parents():
    """Returns the parent of each process that runs."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            state, parent = path.read_text().rsplit(")", 1)[1].split()[:2]
        except OSError:
            continue  # it has just ended
        if state != "Z":
            found[int(path.parent.name)] = int(parent)
    return found


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.05)
    assert condition()


def run_here(code, tmp_path, name, monkeypatch):
    """Runs the code in this process, without workers, and returns its table."""
    monkeypatch.setattr(sys, "argv", ["script", str(tmp_path), name, "1"])
    exec(code, {"__name__": "script"})
    return (tmp_path / f"{name}.csv").read_text()


@pytest.mark.slow
@pytest.mark.one_backend
def test_a_driver_that_ends_leaves_no_workers_and_goes_on(
    tmp_path, monkeypatch, capsys
):
    script, trials = tmp_path / "script.py", tmp_path / "search"
    script.write_text(SCRIPT)
    expected = run_here(SCRIPT, tmp_path, "straight", monkeypatch)

    def finished():
        texts = {path: path.read_text() for path in trials.glob("trial_*/trial.json")}
        return {path: text for path, text in texts.items() if "COMPLETED" in text}

    def start():
        return subprocess.Popen(
            [sys.executable, str(script), str(tmp_path), "search", "2"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,  # Ctrl-C goes to all processes of the session
        )

    for number, goal in ((signal.SIGINT, 2), (signal.SIGKILL, 6)):
        driver = start()
        wait_until(lambda goal=goal: len(finished()) >= goal, 120)
        done = finished()
        workers = {pid for pid, parent in parents().items() if parent == driver.pid}
        assert len(workers) >= 2
        if number == signal.SIGINT:
            os.killpg(driver.pid, number)
        else:
            driver.send_signal(number)
        _, errors = driver.communicate(timeout=60)
        if number == signal.SIGINT:
            assert re.search("Interrupted: .*run the same program again", errors)
            assert "Traceback" not in errors
        wait_until(lambda pids=workers: not pids & parents().keys(), 5)
        wait_until(lambda: not list(trials.glob("workers-*")), 5)
    capsys.readouterr()
    run_here(SCRIPT, tmp_path, "search", monkeypatch)  # any number of workers goes on
    assert re.search(r"16 trials, \d+ of them done, in", capsys.readouterr().out)
    assert {path: path.read_text() for path in done} == done
    assert (tmp_path / "search.csv").read_text() == expected


# Trials kill their own process, and the worker of Dask that has started it.
DASK = SCRIPT.replace(
    "time.sleep(0.3)",
    """(folder / f"pid-{os.getpid()}").touch()
            for number, pid in ((2, os.getpid()), (4, os.getppid())):
                killed = folder / f"killed-{number}"
                if trial.number == number and not killed.exists():
                    killed.touch()
                    os.kill(pid, 9)
                    time.sleep(60)
    """,
).replace(
    "search.search(workers=workers)",
    """
if name == "straight":
    search.search()
else:
    from distributed import Client, LocalCluster
    with (
        LocalCluster(2, threads_per_worker=1, host="127.0.0.1",
                     dashboard_address=None) as cluster,
        Client(cluster) as client,
    ):
        search.search(executor=client)
""",
)


@pytest.mark.slow
@pytest.mark.one_backend
def test_dask_gives_the_same_trials_when_its_workers_are_killed(
    tmp_path, monkeypatch, run_python
):
    pytest.importorskip("distributed")
    expected = run_here(DASK, tmp_path, "straight", monkeypatch)
    result = run_python("-c", DASK, tmp_path, "dask", "2")
    assert (tmp_path / "dask.csv").read_text() == expected
    assert (tmp_path / "killed-2").exists()
    assert (tmp_path / "killed-4").exists()
    # Dask itself repeats the task of its worker.
    assert result.stdout.count("its worker died") == 1
    workers = {int(path.name[4:]) for path in tmp_path.glob("pid-*")}
    assert len(workers) >= 3  # two that died, and at least one that did not
    wait_until(lambda: not workers & parents().keys(), 5)
