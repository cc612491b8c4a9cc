"""Measures the overhead of the training monitors.

    python benchmarks/monitor_overhead.py
    python benchmarks/monitor_overhead.py large

By default, the script runs `fit` for an MLP 784-512-512-512-10 with Adam and batches
of 128, with and without monitors, on the backend selected by `KERAS_BACKEND`. All
training runs share one process and take turns of several steps each, so that other load
on the machine affects all of them equally. The times of two identical models without
monitors can differ by 7 %, depending on the position of the models in memory. The
benchmark therefore runs several rounds. Each round creates new models, and changes the
order of the turns. New rounds are added to those already stored.

An epoch has as many steps as an epoch of MNIST. The first epoch, which compiles the
step, is reported separately. The time of an epoch is the median time of a full turn,
multiplied by the number of full turns, plus the median time of the shorter last turn,
which includes the work of the monitors at the end of the epoch. Medians are used
because some turns are slow for unrelated reasons. The cost of a monitor is the ratio of
the epoch time with the monitor to that of the plain `fit` in the same round. The
reported value is the median over all rounds. The times of all turns are saved in
`results/monitor_overhead.json`.

With `large`, a single model with 105 million parameters is used, which fits into 10 GB
of memory. Short runs of `fit` on this model, with and without monitors, take turns. The
first round, which compiles, is not counted. The cost of a monitor is the ratio of the
median step time with the monitor to that of the plain `fit` in the same round. The
reported value is the median over all rounds. The cost of the default settings is
computed from one step with a record and 49 steps without. Both times come from runs
with a longer interval between records. If the intervals of the stored rounds differ,
only the rounds with the longest interval are used. The times of all steps are saved in
`results/monitor_overhead_large.json`.
"""

import argparse
import statistics
import threading
import time

import keras
import numpy as np
from results import load, machine, save

from callbacks import (
    ActivationHistograms,
    Diagnosis,
    GradientHistograms,
    UpdateRatio,
)
from zoo import mlp

BATCH_SIZE, SAMPLE_SIZE = 128, 256
AGAIN = "plain, again"  # control that shows the measurement error
LARGE_UNITS, LARGE_STEPS = 5800, 8
BOTH_EVERY, BOTH_STEPS = 12, 14  # records at steps 0 and 12
BOTH = "both, every="


def monitors(x) -> dict:
    """Returns a dict of functions that create the callbacks of a run of `fit`."""
    return {
        "plain": lambda: [],
        AGAIN: lambda: [],
        "all, defaults": lambda: [
            UpdateRatio(),
            GradientHistograms(),
            ActivationHistograms(x[:SAMPLE_SIZE]),
        ],
        "Diagnosis()": lambda: [Diagnosis(verbose=0)],
        "UpdateRatio(every=1)": lambda: [UpdateRatio(every=1)],
        "UpdateRatio(every=10)": lambda: [UpdateRatio(every=10)],
        "GradientHistograms(every=1)": lambda: [GradientHistograms(every=1)],
    }


def large_monitors() -> dict:
    """Returns a dict of functions that create the callbacks for the large model."""
    return {
        "plain": lambda: [],
        AGAIN: lambda: [],
        "UpdateRatio(every=1)": lambda: [UpdateRatio(every=1)],
        "GradientHistograms(every=1)": lambda: [GradientHistograms(every=1)],
        f"{BOTH}{BOTH_EVERY}": lambda: [
            UpdateRatio(every=BOTH_EVERY),
            GradientHistograms(every=BOTH_EVERY),
        ],
    }


def choose(kinds: dict, names: list[str] | None) -> list[tuple]:
    """Returns the items of `kinds` with the given names, and always the plain `fit`."""
    return [item for item in kinds.items() if item[0] in {"plain", *(names or kinds)}]


class StepTimes(keras.callbacks.Callback):
    """Records the seconds of every step of `fit` except the first."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])  # waits for pending computations
        now = time.perf_counter()
        if batch:
            self.seconds.append(now - self._last)
        self._last = now


def measure_large(options) -> list[dict]:
    """Measures the seconds of all steps in every round except the first."""
    rng = np.random.default_rng(0)
    x = rng.random((BATCH_SIZE * BOTH_STEPS, 784), dtype="float32")
    y = rng.integers(0, 10, len(x))
    model, rounds = make_model((LARGE_UNITS,) * 4), []
    kinds = choose(large_monitors(), options.kinds)
    for index in range(1 + options.rounds):
        first, seconds = index % len(kinds), {}
        for name, make in kinds[first:] + kinds[:first]:
            size = BATCH_SIZE * (BOTH_STEPS if BOTH in name else LARGE_STEPS)
            callbacks = [*make(), times := StepTimes()]
            model.fit(
                *(x[:size], y[:size]),
                batch_size=BATCH_SIZE,
                verbose=0,
                callbacks=callbacks,
            )
            seconds[name] = times.seconds
        rounds.append(seconds)
        print(f"round {index} of {options.rounds}", flush=True)
    return rounds[1:]


def summarize_large(rounds: list[dict]) -> dict:
    ratios, both = {}, {}
    for seconds in rounds:
        plain = statistics.median(seconds["plain"])
        for name, values in seconds.items():
            if name.startswith(BOTH):
                every = int(name.removeprefix(BOTH))
                both.setdefault(every, []).append(
                    _record_and_other(values, every, plain)
                )
            else:
                ratios.setdefault(name, []).append(statistics.median(values) / plain)
    if both:
        pairs = both[max(both)]
        ratios["defaults"] = [(record + 49 * other) / 50 for record, other in pairs]
        ratios["one record of the defaults"] = [record for record, _ in pairs]
    plain = statistics.median(s for each in rounds for s in each["plain"])
    return {
        "costs": {name: statistics.median(values) for name, values in ratios.items()},
        "milliseconds_a_plain_step": 1000 * plain,
        "rounds": rounds,
    }


def _record_and_other(seconds: list[float], every: int, plain: float) -> tuple:
    """Returns the cost of a step with a record, and that of other steps."""
    # The seconds do not include the first step.
    records = seconds[every - 1 :: every]
    others = [second for i, second in enumerate(seconds, 1) if i % every]
    return statistics.median(records) / plain, statistics.median(others) / plain


class Turns:
    """Lets one thread run at a time, and records the time of each turn."""

    def __init__(self, names):
        self.names = list(names)
        self.seconds = {name: [] for name in self.names}
        self._gates = {name: threading.Semaphore(0) for name in self.names}
        self._started = 0.0
        self._gates[self.names[0]].release()

    def take(self, name):
        self._gates[name].acquire()
        self._started = time.perf_counter()

    def keep_time(self, name):
        now = time.perf_counter()
        self.seconds[name][-1].append(now - self._started)
        self._started = now

    def pass_on(self, name):
        self.keep_time(name)
        following = (self.names.index(name) + 1) % len(self.names)
        self._gates[self.names[following]].release()


class FirstCallback(keras.callbacks.Callback):
    """Starts the list of times for a new epoch, before the monitors run."""

    def __init__(self, turns, name):
        super().__init__()
        self.turns, self.name = turns, name

    def on_epoch_begin(self, epoch, logs=None):
        self.turns.seconds[self.name].append([])


class LastCallback(keras.callbacks.Callback):
    """Ends each turn after some steps, and records the time at the end of an epoch."""

    def __init__(self, turns, name, steps):
        super().__init__()
        self.turns, self.name, self.steps = turns, name, steps

    def on_train_batch_end(self, batch, logs=None):
        if (batch + 1) % self.steps == 0:
            float(logs["loss"])  # waits for pending computations
            self.turns.pass_on(self.name)
            self.turns.take(self.name)

    def on_epoch_end(self, epoch, logs=None):
        self.turns.keep_time(self.name)


def make_model(units=(512, 512, 512)):
    model = mlp((784,), 10, units=units)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def train(turns, name, callbacks, x, y, options):
    """Trains one model, which runs only when it is its turn."""
    turns.take(name)
    make_model().fit(
        x,
        y,
        batch_size=BATCH_SIZE,
        epochs=1 + options.epochs,
        verbose=0,
        callbacks=[
            FirstCallback(turns, name),
            *callbacks,
            LastCallback(turns, name, options.turn),
        ],
    )
    turns.seconds[name].append([])  # for the time after the last epoch
    turns.pass_on(name)


def measure(options) -> list[dict]:
    """Measures the seconds of all turns in every round."""
    rng = np.random.default_rng(0)
    x = rng.random((BATCH_SIZE * options.steps, 784), dtype="float32")
    y = rng.integers(0, 10, len(x))
    kinds = choose(monitors(x), options.kinds)
    rounds = []
    for index in range(options.rounds):
        first = index % len(kinds)
        rounds.append(run_round(kinds[first:] + kinds[:first], x, y, options))
        print(f"round {index + 1} of {options.rounds}", flush=True)
    return rounds


def summarize(rounds: list[dict], steps: int) -> dict:
    typical = [
        {name: typical_epoch(epochs[1:]) for name, epochs in each.items()}
        for each in rounds
    ]
    names = dict.fromkeys(name for each in typical for name in each)
    costs = {
        name: [each[name] / each["plain"] for each in typical if name in each]
        for name in names
    }
    compiling = {
        name: statistics.median(
            sum(raw[name][0]) - each[name]
            for raw, each in zip(rounds, typical, strict=True)
            if name in raw
        )
        for name in costs
    }
    plain = statistics.median(each["plain"] for each in typical)
    return {
        "costs": {name: statistics.median(ratios) for name, ratios in costs.items()},
        "milliseconds_a_plain_step": 1000 * plain / steps,
        "rounds": rounds,
        "seconds_to_compile": compiling,
        "steps": steps,
    }


def run_round(kinds: list, x, y, options) -> dict[str, list[list[float]]]:
    """Runs one round, and returns the seconds of all turns by kind and epoch."""
    turns = Turns(name for name, _ in kinds)
    threads = [
        threading.Thread(target=train, args=(turns, name, make(), x, y, options))
        for name, make in kinds
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return {name: epochs[:-1] for name, epochs in turns.seconds.items()}


def typical_epoch(epochs: list[list[float]]) -> float:
    """Returns the typical duration of an epoch, computed from medians of its turns.

    The last turn of an epoch is shorter, and is therefore treated separately.
    """
    whole = statistics.median(turn for epoch in epochs for turn in epoch[:-1])
    end = statistics.median(epoch[-1] for epoch in epochs)
    return (len(epochs[0]) - 1) * whole + end


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("size", nargs="?", choices=("small", "large"), default="small")
    parser.add_argument("--rounds", type=int, default=5)
    kinds = {*monitors([]), *large_monitors()}
    parser.add_argument(
        "--kinds", nargs="+", metavar="KIND", help=f"choose from {sorted(kinds)}"
    )
    parser.add_argument("--steps", type=int, default=469, help="steps per epoch")
    parser.add_argument("--epochs", type=int, default=2, help="epochs to measure")
    parser.add_argument("--turn", type=int, default=50, help="steps per turn")
    parser.add_argument("--dry", action="store_true", help="do not save the results")
    return parser.parse_args(arguments)


def main():
    options = parse_arguments()
    keras.utils.set_random_seed(0)
    backend = keras.backend.backend()
    is_large = options.size == "large"
    name = "monitor_overhead_large" if is_large else "monitor_overhead"
    stored = {} if options.dry else load(name).get(backend, {})
    new = measure_large(options) if is_large else measure(options)
    rounds = [*stored.get("rounds", ()), *new]
    entry = summarize_large(rounds) if is_large else summarize(rounds, options.steps)
    print(backend, entry["costs"], f"{len(rounds)} rounds")
    if not options.dry:
        save(name, backend, entry | {"machine": machine()})


if __name__ == "__main__":
    main()
