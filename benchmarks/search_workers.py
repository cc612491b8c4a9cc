"""Measures searches with several workers; run it as `search.py workers`.

Two workers are compared with one process, which may use all cores, and with two
independent processes of one thread each, which share no search: the best that two
workers can reach.
"""

import heapq
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import keras
import keras_tuner
import numpy as np

from tuning import RandomSearch

WORKERS = 2
TRIALS, SHORTEST, LONGEST = 24, 5.0, 20.0  # seconds, of one thread
EMPTY_TRIALS = 200
KILL_EVERY, KILL_FOR, KILLED_TRIALS = 5.0, 120.0, 400  # seconds
SEARCHES, ROUNDS, TRIALS_PER_ROUND = 1000, 3, 20  # that are simulated
ONE_THREAD = {
    "OMP_NUM_THREADS": "1",
    "TF_NUM_INTRAOP_THREADS": "1",
    "TF_NUM_INTEROP_THREADS": "1",
    "PJRT_NPROC": "1",
}


class Timed(RandomSearch):
    """Trains the same network for a number of epochs that depends on the trial."""

    def run_trial(self, trial, *args, unit, first=0, step=1, **kwargs):
        rate = trial.hyperparameters.Float("rate", 1e-4, 1e-1, sampling="log")
        epochs = num_epochs(first + step * trial.number, unit)
        keras.utils.set_random_seed(trial.number)
        return train(rate, epochs)


class Empty(RandomSearch):
    def run_trial(self, trial, *args, **kwargs):
        return trial.hyperparameters.Float("x", 0.0, 1.0)


def num_epochs(number: int, unit: float) -> int:
    """Returns the epochs of a trial, with lengths in a mixed order.

    Args:
        number: Number of the trial.
        unit: Epochs that one thread trains in a second.
    """
    place = number * 7 % TRIALS / (TRIALS - 1)
    return round(unit * (SHORTEST + (LONGEST - SHORTEST) * place))


def train(rate: float, epochs: int) -> float:
    generator = np.random.default_rng(0)
    x = generator.normal(size=(2048, 64)).astype("float32")
    y = (x @ generator.normal(size=(64, 10))).argmax(axis=1)
    model = keras.Sequential(
        [
            keras.Input((64,)),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dense(256, activation="relu"),
            keras.layers.Dense(10),
        ]
    )
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile(keras.optimizers.Adam(rate), loss)
    return model.fit(x, y, epochs=epochs, verbose=0).history["loss"][-1]


def timed(folder, trials: int = TRIALS) -> Timed:
    return Timed(objective="loss", max_trials=trials, seed=0, directory=folder)


def epochs_per_second() -> float:
    """Measures the speed of one thread."""
    return float(free_process("speed").communicate(timeout=120)[0])


def free_process(*arguments) -> subprocess.Popen:
    return subprocess.Popen(
        [sys.executable, __file__, *map(str, arguments)],
        env={**os.environ, **ONE_THREAD},
        stdout=subprocess.PIPE,
        text=True,
    )


def throughput(unit: float) -> dict:
    """Measures the seconds of the same trials with one, two and two free processes."""
    seconds = {}
    for name, workers in (("one process", 1), (f"{WORKERS} workers", WORKERS)):
        with tempfile.TemporaryDirectory() as folder:
            start = time.perf_counter()
            timed(folder).search(unit=unit, verbose=0, workers=workers)
            seconds[name] = time.perf_counter() - start
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        free = [
            free_process("free", folder, unit, index, WORKERS)
            for index in range(WORKERS)
        ]
        for process in free:
            process.communicate()
        seconds[f"{WORKERS} free processes"] = time.perf_counter() - start
    return seconds


def costs() -> dict:
    """Measures the start of workers, and the cost of handing trials to them."""
    space = keras_tuner.HyperParameters()
    space.Float("x", 0.0, 1.0)  # so that the first trial need not run alone
    with tempfile.TemporaryDirectory() as folder:
        search = Empty(
            objective="loss",
            max_trials=WORKERS + EMPTY_TRIALS,
            hyperparameters=space,
            directory=folder,
        )
        search.search(verbose=0, workers=WORKERS)
        ended = [trial.elapsed for trial in search.oracle.trials.values()]
    start = max(ended[:WORKERS])  # when every worker has ended a trial
    others = [seconds - start for seconds in ended if seconds > start]
    return {
        "seconds until every worker has ended a trial": start,
        "milliseconds of an empty trial": 1000 * max(others) / len(others),
    }


def kills(unit: float) -> dict:
    """Kills a random worker every few seconds, and compares the results."""
    is_over = threading.Event()
    killed: list[int] = []

    def kill():
        generator = random.Random(0)
        begun = time.monotonic()
        while not is_over.wait(KILL_EVERY) and time.monotonic() - begun < KILL_FOR:
            workers = children()
            if workers:
                killed.append(generator.choice(workers))
                os.kill(killed[-1], signal.SIGKILL)

    tables = []
    for is_killing in (False, True):
        with tempfile.TemporaryDirectory() as folder:
            search = timed(folder, KILLED_TRIALS)
            killer = threading.Thread(target=kill)
            if is_killing:
                killer.start()
            # About half a second a trial, of which a killed worker repeats one.
            search.search(unit=unit / 25, verbose=0, workers=WORKERS)
            if is_killing:
                is_over.set()
                killer.join()
            tables.append(search.results().drop(columns="seconds"))
            records = len(list(Path(search.project_dir).glob("trial_*/trial.json")))
    return {
        "kills": len(killed),
        "trials": KILLED_TRIALS,
        "records": records,
        "completed": int((tables[1].status == "completed").sum()),
        "same tables": bool(tables[0].equals(tables[1])),
    }


def children() -> list[int]:
    """Returns the processes of the workers."""
    found = []
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parent = int(path.read_text().rsplit(")", 1)[1].split()[1])
            command = (path.parent / "cmdline").read_text()
        except OSError:
            continue  # it has just ended
        if parent == os.getpid() and "popen_loky" in command:
            found.append(int(path.parent.name))
    return found


def waiting() -> dict:
    """Simulates how long workers wait at the end of each round for its last trials.

    The lengths of the trials are uniform between `SHORTEST` and `LONGEST`.

    Returns:
        For each number of workers, the share of the time for which they are busy, with
        and without rounds: the mean over many searches.
    """
    generator = np.random.default_rng(0)
    lengths = generator.uniform(
        SHORTEST, LONGEST, (SEARCHES, ROUNDS * TRIALS_PER_ROUND)
    )
    busy = {}
    for workers in (2, 4, 8, 16):
        shares = [
            (_busy(one.reshape(ROUNDS, -1), workers), _busy(one[None], workers))
            for one in lengths
        ]
        mean = np.mean(shares, axis=0).tolist()
        busy[str(workers)] = dict(zip(("rounds", "no rounds"), mean, strict=True))
    print(busy)
    return {"rounds": ROUNDS, "trials_per_round": TRIALS_PER_ROUND, "busy": busy}


def _busy(rounds: np.ndarray, workers: int) -> float:
    """Returns the share of the time for which workers are busy.

    Args:
        rounds: Lengths of the trials, with shape `(rounds, trials)`.
        workers: Number of workers.
    """
    now = 0.0
    for lengths in rounds:
        free_at = [now] * workers
        for length in lengths:
            heapq.heapreplace(free_at, free_at[0] + length)
        now = max(free_at)
    return rounds.sum() / (workers * now)


def measure_workers(rounds: int, done: dict, keep) -> None:
    """Measures what is missing, the variants of the throughput in turns.

    Args:
        rounds: Number of rounds of the comparison of throughputs.
        done: Existing raw results by the names of the parts.
        keep: Function that receives a name and the raw results of each part.
    """

    def show(name: str, entry: dict) -> None:
        print(name, entry, flush=True)
        keep(name, entry)

    if "workers_costs" not in done:
        show("workers_costs", costs())
    unit = epochs_per_second()
    if "workers_killed" not in done:
        show("workers_killed", kills(unit))
    runs = done.get("workers", {}).get("seconds", [])
    while len(runs) < rounds:
        runs.append(throughput(unit))
        show("workers", {"trials": TRIALS, "seconds": runs})


def main() -> None:
    """Runs what the benchmark runs in processes of one thread."""
    what, *arguments = sys.argv[1:]
    if what == "speed":
        train(0.01, 2)
        start = time.perf_counter()
        train(0.01, 50)
        print(50 / (time.perf_counter() - start))
    else:
        folder, *numbers = arguments
        unit, first, step = map(json.loads, numbers)
        search = timed(Path(folder) / str(first), TRIALS // step)
        search.search(unit=unit, first=first, step=step, verbose=0)


if __name__ == "__main__":
    main()
