"""Trainings that are killed at any moment, in forks of one process, and run again."""

import os

import pytest

pytestmark = [
    pytest.mark.skipif(not hasattr(os, "fork"), reason="kills processes as POSIX does"),
]

# A process that has imported everything, and trains in forks of itself only.
SCRIPT = """
import hashlib, json, os, random, shutil, signal, sys, tempfile, time, warnings
from pathlib import Path
import keras
import numpy as np
from callbacks import EarlyStopping, ResumeTraining, UpdateRatio
from callbacks.resuming import save_file
from zoo import datasets, mlp

root = Path(sys.argv[1])


class Points(keras.callbacks.Callback):
    '''Writes down the points at which a kill is interesting, and kills at one.'''

    def __init__(self, kill_at):
        super().__init__()
        self.kill_at, self.labels = kill_at, []
        for owner, name in (
            (os, "replace"), (os, "fsync"), (os, "unlink"), (tempfile, "mkstemp"),
            (save_file._Writer, "write"),
        ):
            self.around(owner, name)

    def point(self, label):
        if len(self.labels) == self.kill_at:
            os.kill(os.getpid(), signal.SIGKILL)
        self.labels.append(label)

    def around(self, owner, name):
        function = getattr(owner, name)

        def call(*args, **kwargs):
            self.point(f"before {name}")
            result = function(*args, **kwargs)
            self.point(f"after {name}")
            return result

        setattr(owner, name, call)

    def on_train_batch_begin(self, batch, logs=None):
        self.point("step")
        (root / "begun").touch()

    def on_test_batch_begin(self, batch, logs=None):
        self.point("validation")


def train(folder, kill_at=-1):
    folder.mkdir(exist_ok=True)
    points = Points(kill_at)
    keras.utils.set_random_seed(0)
    generator = np.random.default_rng(0)
    x = generator.normal(size=(80, 6)).astype("float32")
    y = generator.integers(0, 3, 80)
    data = datasets.from_arrays(
        train=(x, y), validation=0.25, batch_size=12, seed=0
    )
    model = mlp(data.input_shape, data.num_outputs, units=(8,), dropout=0.3)
    model.compile("adam", data.loss, metrics=data.metrics)
    ratio = UpdateRatio(every=3)
    kept = [EarlyStopping(patience=9, restore_best_weights=True), ratio,
            keras.callbacks.CSVLogger(folder / "log.csv", append=True)]
    resume = ResumeTraining(folder / "saves", every=2, callbacks=kept)
    warnings.filterwarnings("ignore", "The state of Points will be lost")
    history = model.fit(
        data.train, epochs=4, validation_data=data.validation, shuffle=False,
        verbose=0, callbacks=[resume, points],
    )
    points.point("end")
    found = hashlib.sha256()
    for variable in [*model.variables, *model.optimizer.variables]:
        found.update(np.array(keras.ops.convert_to_numpy(variable)).tobytes())
    found.update(repr(history.history).encode())
    found.update(ratio.to_frame().to_csv().encode())
    found.update((folder / "log.csv").read_bytes())
    result = [found.hexdigest(), points.labels]
    (folder / "result").write_text(json.dumps(result))


def start(*arguments):
    pid = os.fork()
    if pid == 0:
        try:
            train(*arguments)
        except BaseException:
            import traceback
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return pid


def end(pid):
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def result(folder):
    assert end(start(folder)) == 0
    return json.loads((folder / "result").read_text())


began = time.monotonic()
expected, labels = result(root / "straight")
seconds = time.monotonic() - began


def check(folder):
    assert result(folder)[0] == expected, folder
    shutil.rmtree(folder)


def kill_at(point, name):
    folder = root / name
    assert end(start(folder, point)) == -signal.SIGKILL, name
    return folder


def kill_after(delay, name):
    folder = root / name
    pid = start(folder)
    time.sleep(delay)
    os.kill(pid, signal.SIGKILL)
    end(pid)
    return folder

"""

PLACES = """
places = {
    "in the first step": labels.index("step"),
    "in a save": labels.index("after write") + 4,
    "around a rename": labels.index("before replace") + 1,
    "in validation": labels.index("validation"),
    "after the last step": len(labels) - 1 - labels[::-1].index("step") + 1,
    "after the end": len(labels) - 1,
}
for name, point in places.items():
    check(kill_at(point, name))
    print(name)
"""

RANDOM = """
generator = random.Random(int(sys.argv[2]))
for number in range(int(sys.argv[3])):
    if number % 3:
        folder = kill_at(generator.randrange(len(labels)), f"killed {number}")
    else:  # at any time, and then once more
        folder = kill_after(generator.uniform(0, seconds), f"killed {number}")
        kill_after(generator.uniform(0, seconds), f"killed {number}")
    check(folder)
    print(number)
"""

INTERRUPTED = """
for number in (signal.SIGINT, signal.SIGTERM):
    folder = root / str(number)
    (root / "begun").unlink(missing_ok=True)
    pid = start(folder)
    while not (root / "begun").exists():
        time.sleep(0.01)
    os.kill(pid, number)
    assert end(pid) == (1 if number == signal.SIGINT else -number)
    assert list((folder / "saves").glob("save-*"))
    check(folder)
"""


@pytest.mark.heavy
def test_a_kill_at_a_special_moment_changes_nothing(run_python, tmp_path, root):
    result = run_python("-c", SCRIPT + PLACES, tmp_path, PYTHONPATH=str(root))
    assert result.stdout.splitlines()[-1] == "after the end"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_thirty_kills_at_random_change_nothing(seed, run_python, tmp_path, root):
    arguments = SCRIPT + RANDOM, tmp_path, seed, 10
    result = run_python("-c", *arguments, PYTHONPATH=str(root))
    assert result.stdout.splitlines()[-1] == "9"


@pytest.mark.heavy
def test_an_interrupted_program_ends_and_is_resumed(run_python, tmp_path, root):
    result = run_python("-c", SCRIPT + INTERRUPTED, tmp_path, PYTHONPATH=str(root))
    assert result.stdout.count("Run the same program again to resume it.") == 2
    assert "KeyboardInterrupt" in result.stderr
