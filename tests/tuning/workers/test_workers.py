"""Searches that train models in processes, which are killed now and then."""

import json
import os
import signal
import subprocess
import sys
import time

import cloudpickle
import keras
import numpy as np
import pandas as pd
import pytest

from tuning import RandomSearch

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
            validation_data=(x, y),
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


# A search over small MLPs, in a script without a guard, with functions without
# names. Its workers are killed where the environment variable KILL says.
SCRIPT = """
import json, os, signal, sys
from pathlib import Path
import keras
import numpy as np
from tuning import CoarseToFineSearch, MLPSpace
from zoo import datasets

folder, name, kind = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
DRIVER = os.getpid()


def point(name):
    if os.getpid() == DRIVER:
        return
    with open(folder / "pids", "a") as file:
        file.write(f"{os.getpid()} {name}\\n")
    if name in os.environ.get("KILL", "").split():
        try:
            (folder / f"killed-{name}").touch(exist_ok=False)
        except FileExistsError:
            return
        os.kill(os.getpid(), signal.SIGKILL)


class Space(MLPSpace):
    def __setstate__(self, state):
        vars(self).update(state)
        point("unpickle")

    def build(self, hp):
        point("build")
        return super().build(hp)


x = np.random.default_rng(0).normal(size=(200, 4))
data = datasets.from_arrays((x, (x[:, 0] > 0).astype(int)), validation=0.2, seed=0)
search = CoarseToFineSearch(Space(data), "val_loss", rounds=2, trials_per_round=3,
                            seed=0, checkpoints=1, directory=folder, project_name=name)
options = {}
client = None
if kind == "workers":
    options["workers"] = 2
elif kind == "dask":
    from dask.distributed import Client, LocalCluster
    cluster = LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None,
                           host="127.0.0.1")
    client = Client(cluster)
    options["executor"] = client
print("begun", flush=True)
search.search(
    data.train, validation_data=data.validation, epochs=2,
    callbacks=[keras.callbacks.LambdaCallback(
        on_epoch_end=lambda epoch, logs: point(f"epoch-{epoch}"))],
    **options,
)
table = search.results().drop(columns="seconds")
(folder / f"{name}.json").write_text(table.to_json() + search.history().to_json())
search.best_model()
if client is not None:
    client.close()
    cluster.close()
"""


@pytest.fixture(scope="module")
def straight(tmp_path_factory):
    """The tables of a search in one process."""
    folder = tmp_path_factory.mktemp("straight")
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    subprocess.run(
        [sys.executable, "-c", SCRIPT, str(folder), "straight", "alone"],
        env=environment,
        check=True,
        timeout=300,
        stdout=subprocess.PIPE,
    )
    return (folder / "straight.json").read_text()


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rsplit(")", 1)[1].split()[0] != "Z"


def pids(folder):
    path = folder / "pids"
    lines = path.read_text().splitlines() if path.exists() else []
    return {int(line.split()[0]) for line in lines if len(line.split()) == 2}


@pytest.mark.slow
@pytest.mark.one_backend
@pytest.mark.parametrize("kind", ["workers", "dask"])
def test_killed_workers_change_nothing(kind, tmp_path, run_python, straight):
    if kind == "dask":
        pytest.importorskip("distributed")
    kills = ["unpickle", "build", "epoch-1"]
    result = run_python("-c", SCRIPT, tmp_path, kind, kind, KILL=" ".join(kills))
    assert (tmp_path / f"{kind}.json").read_text() == straight
    assert all((tmp_path / f"killed-{name}").exists() for name in kills)
    assert result.stdout.count("its worker died") == 3
    time.sleep(1)
    assert not any(map(is_alive, pids(tmp_path)))


@pytest.mark.slow
@pytest.mark.one_backend
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_a_driver_that_ends_leaves_no_workers_and_goes_on(
    number, tmp_path, run_python, straight
):
    arguments = [sys.executable, "-c", SCRIPT, str(tmp_path), "search", "workers"]
    driver = subprocess.Popen(
        arguments,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # Ctrl-C goes to all processes of the session
    )
    trials = tmp_path / "search"

    def finished():
        states = {path: path.read_text() for path in trials.glob("trial_*/trial.json")}
        return {
            path: text
            for path, text in states.items()
            if json.loads(text)["status"] != "RUNNING"
        }

    deadline = time.monotonic() + 240
    while len(finished()) < 2 and time.monotonic() < deadline:
        time.sleep(0.02)
    before = finished()
    if number == signal.SIGINT:
        os.killpg(driver.pid, number)
    else:
        driver.send_signal(number)
    _, errors = driver.communicate(timeout=60)
    if number == signal.SIGINT:
        assert "run the same program again" in errors
        assert errors.count("Traceback") == 1  # workers ignore it
    time.sleep(2)
    workers = pids(tmp_path)
    assert len(workers) >= 2
    assert not any(map(is_alive, workers))
    run_python("-c", SCRIPT, tmp_path, "search", "workers")
    assert {path: path.read_text() for path in before} == before
    assert (tmp_path / "search.json").read_text() == straight
    assert not list(trials.glob("workers-*"))
