"""Searches that are killed, at any moment, and begun again."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

pytestmark = [
    pytest.mark.one_backend,
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as POSIX does"),
]

# A search in a fork of a process that has imported everything, killed before or after
# its n-th write, for every n asked for; then one that goes on.
SCRIPT = """
import json, os, shutil, signal, sys, tempfile
from pathlib import Path
from tuning import CoarseToFineSearch

folder = Path(sys.argv[1])
start, step, per_round = map(int, sys.argv[2:])
LOG = folder / "log"


class Bowl(CoarseToFineSearch):
    def run_trial(self, trial, *args, **kwargs):
        with open(LOG, "a") as file:
            file.write(f"{trial.number}\\n")
        hp = trial.hyperparameters
        x = hp.Float("x", 0.0, 1.0, default=0.5)
        kind = hp.Choice("kind", ["a", "b"])
        if trial.number == 3:
            raise OSError("disk")
        return (x - 0.2) ** 2 + (kind == "a")


def search():
    bowl = Bowl(rounds=2, trials_per_round=per_round, seed=0, directory=folder,
                project_name="search")
    bowl.search(verbose=0)
    table = bowl.results().drop(columns="seconds")
    (folder / "results.json").write_text(table.to_json())


def points(kill_at):
    count = 0

    def point():
        nonlocal count
        if count == kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        count += 1

    def around(owner, name):
        function = getattr(owner, name)

        def call(*args, **kwargs):
            point()
            result = function(*args, **kwargs)
            point()
            return result

        setattr(owner, name, call)

    for owner, name in ((os, "replace"), (os, "mkdir"), (os, "unlink"),
                        (tempfile, "mkstemp")):
        around(owner, name)
    write = Path.write_text

    def half(self, text, *args, **kwargs):
        write(self, text[: len(text) // 2], *args, **kwargs)
        point()
        return write(self, text, *args, **kwargs)

    Path.write_text = half
    return lambda: count


def forked(function):
    pid = os.fork()
    if pid == 0:
        try:
            function()
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def finished():
    trials = {}
    for path in folder.glob("search/trial_*/trial.json"):
        state = json.loads(path.read_text())
        if state["status"] != "RUNNING":
            trials[int(state["trial_id"])] = path.read_bytes()
    return trials


def empty():
    shutil.rmtree(folder)
    folder.mkdir()


def counted():
    count = points(-1)
    search()
    (folder / "count").write_text(str(count()))


assert forked(counted) == 0
total = int((folder / "count").read_text())
expected = json.loads((folder / "results.json").read_text())
kills = 0
for kill_at in range(start, total, step):
    empty()
    code = forked(lambda: (points(kill_at), search()))
    assert code == -signal.SIGKILL, (kill_at, code)
    before = finished()
    LOG.unlink(missing_ok=True)
    assert forked(search) == 0, kill_at
    after = finished()
    assert json.loads((folder / "results.json").read_text()) == expected, kill_at
    assert {number: after[number] for number in before} == before, kill_at
    again = set(LOG.read_text().split()) if LOG.exists() else set()
    assert not again & set(map(str, before)), kill_at
    leftovers = [p for p in folder.glob("search/**/.*")]
    assert not leftovers, leftovers
    kills += 1
print(kills, total)
"""


def kill_at_failpoints(run_python, folder, start, step, per_round):
    folder.mkdir()
    result = run_python("-c", SCRIPT, folder, start, step, per_round)
    kills, total = map(int, result.stdout.split())
    assert kills == len(range(start, total, step))
    return total


@pytest.mark.heavy
def test_nothing_is_lost_or_repeated_after_a_kill_around_a_write(run_python, tmp_path):
    assert kill_at_failpoints(run_python, tmp_path / "runs", 0, 19, 4) > 100


@pytest.mark.slow
@pytest.mark.parametrize("start", range(6))
def test_nothing_is_lost_or_repeated_after_a_kill_around_any_write(
    start, run_python, tmp_path
):
    # With enough trials in a round for its ranges to narrow.
    kill_at_failpoints(run_python, tmp_path / "runs", start, 6, 9)


TRAINING = """
import sys
import numpy as np
import keras
from tuning import RandomSearch

x = np.random.default_rng(0).normal(size=(512, 8)).astype("float32")
y = (x[:, 0] > 0).astype("int32")


def build(hp):
    rate = hp.Float("rate", 1e-4, 1.0, sampling="log", default=0.01)
    units = hp.Int("units", 4, 64, sampling="log", default=16)
    model = keras.Sequential([
        keras.Input((8,)),
        keras.layers.Dense(units, activation="relu"),
        keras.layers.Dense(2),
    ])
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.SGD(rate), loss, metrics=["accuracy"])
    return model


search = RandomSearch(build, "val_accuracy", 8, seed=0, directory=sys.argv[1])
print("begun", flush=True)
search.search(x, y, validation_split=0.25, epochs=4)
search.results().drop(columns="seconds").to_json(sys.argv[1] + "/results.json")
print("score", search.best_model().evaluate(x[384:], y[384:], verbose=0)[1])
"""


@pytest.mark.slow
def test_a_training_killed_ten_times_ends_as_if_it_had_not_been(tmp_path, run_python):
    straight, killed = tmp_path / "straight", tmp_path / "killed"
    straight.mkdir()
    killed.mkdir()
    expected = run_python("-c", TRAINING, straight).stdout.splitlines()[-1]
    generator = random.Random(0)
    kills = 0
    trials = killed / "untitled_project"
    before = {}
    while kills < 10:
        process = subprocess.Popen(
            [sys.executable, "-c", TRAINING, str(killed)],
            stdout=subprocess.PIPE,
            text=True,
        )
        while not process.stdout.readline().startswith("begun"):
            pass
        # Now and then in the middle of a trial's first epoch, which compiles it.
        time.sleep(generator.uniform(0, 2))
        process.send_signal(signal.SIGKILL)
        process.communicate()
        kills += 1
        for name, contents in before.items():
            assert (trials / name / "trial.json").read_text() == contents
        for path in trials.glob("trial_*/trial.json"):
            text = path.read_text()
            if json.loads(text)["status"] != "RUNNING":
                before[path.parent.name] = text
    last = run_python("-c", TRAINING, killed).stdout.splitlines()[-1]
    assert last == expected
    assert (killed / "results.json").read_text() == (
        straight / "results.json"
    ).read_text()
