"""What saves of a training cost, on a model that is small and fast.

    python benchmarks/resuming.py

In one process: `fit` of an MLP 784-512-512-512-10 with Adam on batches of 128, plain
and with `ResumeTraining(every=500)`, on the backend that `KERAS_BACKEND` names. They
take turns of some steps each, as in `monitor_overhead.py`, so that what else happens
on the machine slows all of them alike. A cost is the time of all epochs but the first,
which compiles the step, over that of the plain `fit` of the same round; the figure is
the median of all rounds. Rounds are added to those that are stored, and all turns are
kept in `results/resuming.json`.
"""

import argparse
import statistics
import tempfile

import keras
import numpy as np
from monitor_overhead import AGAIN, BATCH_SIZE, run_round
from results import load, machine, save

from callbacks import ResumeTraining

EVERY = 500
RESUMED = f"ResumeTraining(every={EVERY})"


def measure(options) -> list[dict]:
    """Returns the seconds of all turns of some rounds."""
    rng = np.random.default_rng(0)
    x = rng.random((BATCH_SIZE * options.steps, 784), dtype="float32")
    y = rng.integers(0, 10, len(x))
    rounds = []
    for index in range(options.rounds):
        with tempfile.TemporaryDirectory() as folder:
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
    """Returns the costs, and the time that training waits for a save."""
    seconds = [
        {name: sum(map(sum, epochs[1:])) for name, epochs in each.items()}
        for each in rounds
    ]
    saves = [max(map(max, each[RESUMED][1:])) for each in rounds]
    turns = [statistics.median(each[RESUMED][1][:-1]) for each in rounds]
    waits = [save - turn for save, turn in zip(saves, turns, strict=True)]
    return {
        "costs": {
            name: statistics.median(each[name] / each["plain"] for each in seconds)
            for name in seconds[0]
        },
        "rounds": rounds,
        "seconds_of_the_longest_save": statistics.median(waits),
        "steps": steps,
    }


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=1000, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=2, help="that are measured")
    parser.add_argument("--turn", type=int, default=50, help="steps of a turn")
    parser.add_argument("--dry", action="store_true", help="save nothing")
    return parser.parse_args(arguments)


def main():
    options = parse_arguments()
    keras.utils.set_random_seed(0)
    backend = keras.backend.backend()
    stored = {} if options.dry else load("resuming").get(backend, {})
    rounds = [*stored.get("rounds", ()), *measure(options)]
    entry = summarize(rounds, options.steps)
    print(backend, entry["costs"], f"{len(rounds)} rounds")
    if not options.dry:
        save("resuming", backend, entry | {"machine": machine()})


if __name__ == "__main__":
    main()
