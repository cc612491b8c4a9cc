"""Trainings in processes of their own that are killed, at any moment, and run again."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="kills processes as POSIX does"
)

SCRIPT = """
import hashlib, json, os, signal, sys, tempfile
from pathlib import Path
import keras
import numpy as np
from callbacks import EarlyStopping, ResumeTraining, UpdateRatio
from callbacks.resuming import save_file
from zoo import datasets, mlp

folder, kill_at = Path(sys.argv[1]), int(sys.argv[2])
count = 0


def point():
    global count
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


for owner, name in ((os, "replace"), (os, "fsync"), (os, "unlink"),
                    (tempfile, "mkstemp"), (save_file._Writer, "write")):
    around(owner, name)


class Slow(keras.callbacks.Callback):
    def on_train_batch_begin(self, batch, logs=None):
        print("step", flush=True)
        point()

    def on_test_batch_begin(self, batch, logs=None):
        point()


keras.utils.set_random_seed(0)
generator = np.random.default_rng(0)
x = generator.normal(size=(80, 6)).astype("float32")
y = generator.integers(0, 3, 80)
data = datasets.from_arrays(train=(x, y), validation=0.25, batch_size=12, seed=0)
model = mlp(data.input_shape, data.num_outputs, units=(8,), dropout=0.3)
model.compile("adam", data.loss, metrics=data.metrics)
ratio = UpdateRatio(every=3)
kept = [EarlyStopping(patience=9, restore_best_weights=True), ratio,
        keras.callbacks.CSVLogger(folder / "log.csv", append=True)]
resume = ResumeTraining(folder / "saves", every=2, callbacks=kept)
history = model.fit(data.train, epochs=4, validation_data=data.validation,
                    shuffle=False, verbose=0, callbacks=[resume, Slow()])
found = hashlib.sha256()
for variable in [*model.variables, *model.optimizer.variables]:
    found.update(np.array(keras.ops.convert_to_numpy(variable)).tobytes())
found.update(repr(history.history).encode())
found.update(ratio.to_frame().to_csv().encode())
found.update((folder / "log.csv").read_bytes())
print("result", json.dumps([found.hexdigest(), count]))
"""


@pytest.fixture
def program(tmp_path, root):
    """Runs the training; returns its exit code, and what it printed."""

    def start(folder, kill_at=-1):
        folder.mkdir(exist_ok=True)
        return subprocess.Popen(
            [sys.executable, "-c", SCRIPT, str(folder), str(kill_at)],
            env={**os.environ, "PYTHONPATH": str(root)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    return start


def end(process):
    output, errors = process.communicate(timeout=300)
    assert process.returncode == 0, errors[-3000:]
    lines = [line for line in output.splitlines() if line.startswith("result ")]
    return json.loads(lines[-1].removeprefix("result "))


def kill_at_points(program, folder, kills, seed):
    """Kills so many times at points drawn at random, each run going on."""
    expected, total = end(program(folder / "straight"))
    generator = random.Random(seed)
    killed = 0
    for number in range(kills):
        path = folder / f"killed {number}"
        for most in (total, total // 2):
            process = program(path, generator.randrange(most))
            process.communicate(timeout=300)
            if process.returncode == 0:
                break
            assert process.returncode == -signal.SIGKILL
            killed += 1
        found, _ = end(program(path))
        assert found == expected, number
    assert killed >= kills


def test_a_kill_changes_nothing(program, tmp_path):
    kill_at_points(program, tmp_path, kills=1, seed=0)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(5))
def test_kills_at_random_change_nothing(program, tmp_path, seed):
    kill_at_points(program, tmp_path, kills=6, seed=seed)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_is_answered_by_a_save(program, tmp_path, number):
    process = program(tmp_path / "run")
    for line in process.stdout:
        if line == "step\n":
            break
    time.sleep(0.05)
    process.send_signal(number)
    output, errors = process.communicate(timeout=300)
    assert "Run the same program again to go on." in output
    if number == signal.SIGINT:
        assert "KeyboardInterrupt" in errors
    assert process.returncode in (-number, 128 + number, 1)
    assert list((tmp_path / "run" / "saves").iterdir())
    end(program(tmp_path / "run"))
