"""How much does it cost to save a training run with `ResumeTraining`?

    python benchmarks/resuming.py
    python benchmarks/resuming.py large

The first command trains an MLP 784-512-512-512-10 with Adam on batches of 128, without
and with `ResumeTraining(every=500)`, on the backend selected by `KERAS_BACKEND`. The
training runs take turns of some steps, as in `monitor_overhead.py`, so that other load
on the machine affects all of them. A turn does the same work in every round, so its
time is the median over all rounds. The cost is the total time of all epochs except the
first, which compiles the step, divided by that of the plain `fit`. New rounds are added
to the saved rounds, and the times of all turns are saved in `results/resuming.json`.

The second command trains an MLP with 105 million parameters for a few steps, with an
`EarlyStopping` whose best weights are part of the saves of the second epoch. It
measures the mean duration of a save, and the peak memory before and after the saves.
After each save, the same number of bytes is written to the same folder twice. On a disk
whose fast and slow writes alternate, saves and writes then meet as many slow ones. Two
of these files are kept, as two saves are.
"""

import argparse
import os
import resource
import statistics
import tempfile
import time
from pathlib import Path

import keras
import numpy as np
from monitor_overhead import AGAIN, BATCH_SIZE, LARGE_UNITS, make_model, run_round
from results import load, machine, save

from callbacks import EarlyStopping, ResumeTraining
from callbacks.resuming.save_file import SaveFolder

EVERY = 500
RESUMED = f"ResumeTraining(every={EVERY})"
LARGE_STEPS, LARGE_EVERY = 8, 2
CHUNK = np.random.default_rng(0).bytes(2**28)


def make_data(steps):
    rng = np.random.default_rng(0)
    x = rng.random((BATCH_SIZE * steps, 784), dtype="float32")
    return x, rng.integers(0, 10, len(x))


def measure(options) -> list[dict]:
    """Measures the seconds of all turns in every round."""
    x, y = make_data(options.steps)
    rounds = []
    for index in range(options.rounds):
        with tempfile.TemporaryDirectory(dir=options.directory) as folder:
            kinds = [
                ("plain", list),
                (AGAIN, list),
                (RESUMED, lambda folder=folder: [ResumeTraining(folder, every=EVERY)]),
            ]
            first = index % len(kinds)
            rounds.append(run_round(kinds[first:] + kinds[:first], x, y, options))
        print(f"round {index + 1} of {options.rounds}", flush=True)
    return rounds


def summarize(rounds: list[dict], steps: int) -> dict:
    """Returns the costs, and the seconds for which training waits for a save."""
    seconds = {
        name: float(np.median([each[name][1:] for each in rounds], axis=0).sum())
        for name in rounds[0]
    }
    longest = [max(map(max, each[RESUMED][1:])) for each in rounds]
    turns = [statistics.median(each[RESUMED][1][:-1]) for each in rounds]
    waits = [a - b for a, b in zip(longest, turns, strict=True)]
    return {
        "costs": {name: value / seconds["plain"] for name, value in seconds.items()},
        "rounds": rounds,
        "seconds_of_the_longest_save": statistics.median(waits),
        "steps": steps,
    }


def measure_large(options) -> dict:
    """Measures the saves of a large model."""
    model, (x, y) = make_model((LARGE_UNITS,) * 4), make_data(LARGE_STEPS)
    model.fit(x, y, batch_size=BATCH_SIZE, verbose=0)
    memory = peak_gigabytes()
    with tempfile.TemporaryDirectory(dir=options.directory) as folder:
        seconds, writing = time_saves()
        best = EarlyStopping("loss", patience=9, restore_best_weights=True)
        resume = ResumeTraining(folder, every=LARGE_EVERY, callbacks=[best])
        model.fit(x, y, epochs=2, batch_size=BATCH_SIZE, verbose=0, callbacks=[resume])
        size = size_of_a_save(Path(folder))
    return {
        "gigabytes_before": memory,
        "gigabytes_after": peak_gigabytes(),
        "gigabytes_of_a_save": size / 2**30,
        "seconds_of_saves": seconds,
        "seconds_to_write_as_many_bytes": writing,
    }


def size_of_a_save(folder: Path) -> int:
    return max(path.stat().st_size for path in folder.glob("save-*"))


def time_saves() -> tuple[list[float], list[float]]:
    """Returns two lists, to which the seconds of every save and write are added."""
    saving, writing, write = [], [], SaveFolder.write

    def timed(folder, *arguments):
        began = time.perf_counter()
        write(folder, *arguments)
        saving.append(time.perf_counter() - began)
        size = size_of_a_save(folder.path)
        for _ in range(2):
            writing.append(seconds_to_write(folder.path, size, len(writing)))

    SaveFolder.write = timed
    return saving, writing


def seconds_to_write(folder: Path, size: int, number: int) -> float:
    """Returns the seconds in which a file is written to the disk.

    The last two files are kept, as saves are, because writing again to the memory of a
    file that was just removed is faster. Random bytes cannot be compressed, as weights
    cannot, and the chunks are larger than the caches of a CPU.
    """
    began = time.perf_counter()
    with open(folder / f"random-{number}", "wb") as file:
        for _ in range(size // len(CHUNK)):
            file.write(CHUNK)
        file.flush()
        os.fsync(file.fileno())
    (folder / f"random-{number - 2}").unlink(missing_ok=True)
    return time.perf_counter() - began


def peak_gigabytes() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("size", nargs="?", choices=("small", "large"), default="small")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000, help="steps per epoch")
    parser.add_argument("--epochs", type=int, default=2, help="epochs to measure")
    parser.add_argument("--turn", type=int, default=50, help="steps per turn")
    parser.add_argument("--directory", help="folder on the disk to measure")
    parser.add_argument("--dry", action="store_true", help="do not save the results")
    return parser.parse_args(arguments)


def main():
    options = parse_arguments()
    keras.utils.set_random_seed(0)
    key = keras.backend.backend()
    if options.size == "large":
        key = f"{key}, large"
        entry = measure_large(options)
        print(entry)
    else:
        stored = {} if options.dry else load("resuming").get(key, {})
        rounds = [*stored.get("rounds", ()), *measure(options)]
        entry = summarize(rounds, options.steps)
        print(key, entry["costs"], f"{len(rounds)} rounds")
    if not options.dry:
        save("resuming", key, entry | {"machine": machine()})


if __name__ == "__main__":
    main()
