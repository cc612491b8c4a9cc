"""What the monitors of the training step cost, on a model that is small and fast.

    python benchmarks/monitor_overhead.py
    python benchmarks/monitor_overhead.py large

In one process: `fit` of an MLP 784-512-512-512-10 with Adam on batches of 128, plain
and with monitors, on the backend that `KERAS_BACKEND` names. All of these trainings
are under way at once, and take turns of some steps each, so that what else happens on
the machine slows all of them alike. Two models without monitors can differ by 7 %,
by where they lie in memory: so there are many rounds, each with new models, which are
made, and take turns, in another order. Rounds are added to those that are stored.

An epoch has as many steps as one of MNIST; the first, which compiles the step, is
counted apart. The time of an epoch is that of its whole turns, by their median, since
some take long for reasons that are not ours; and that of its end, with what the
monitors do there. A cost is that time over the one of the plain `fit` of the same
round, by the median of all rounds. All turns are kept in
`results/monitor_overhead.json`.

With `large` the model has 105 million parameters and there is one of it, so that all
fits into 10 GB: short `fit`s, plain and with monitors, take turns on it. The first
round, which compiles, does not count. A cost is the median time of a step over that
of a plain one in the same round, by the median of all rounds; that of the defaults
is made up of one step with a look and 49 without. All steps are kept in
`results/monitor_overhead_large.json`.
"""

import argparse
import statistics
import threading
import time

import keras
import numpy as np
from results import load, machine, save

from callbacks import ActivationHistograms, GradientHistograms, UpdateRatio
from zoo import mlp

BATCH_SIZE, SAMPLE_SIZE = 128, 256
AGAIN = "plain, again"  # what the measurement itself makes of no difference
LARGE_UNITS, LARGE_STEPS, LARGE_EVERY = 5800, 8, 3  # with looks at 0, 3 and 6
BOTH = f"both, every={LARGE_EVERY}"


def monitors(x) -> dict:
    """Returns by name what makes the callbacks of a `fit`."""
    return {
        "plain": lambda: [],
        AGAIN: lambda: [],
        "all, defaults": lambda: [
            UpdateRatio(),
            GradientHistograms(),
            ActivationHistograms(x[:SAMPLE_SIZE]),
        ],
        "UpdateRatio(every=1)": lambda: [UpdateRatio(every=1)],
        "UpdateRatio(every=10)": lambda: [UpdateRatio(every=10)],
        "GradientHistograms(every=1)": lambda: [GradientHistograms(every=1)],
    }


def large_monitors() -> dict:
    """Returns by name what makes the callbacks of a `fit` of a large model."""
    return {
        "plain": lambda: [],
        AGAIN: lambda: [],
        "UpdateRatio(every=1)": lambda: [UpdateRatio(every=1)],
        "GradientHistograms(every=1)": lambda: [GradientHistograms(every=1)],
        BOTH: lambda: [
            UpdateRatio(every=LARGE_EVERY),
            GradientHistograms(every=LARGE_EVERY),
        ],
    }


class StepTimes(keras.callbacks.Callback):
    """Keeps the seconds of every step but the first, which begins the `fit`."""

    def on_train_begin(self, logs=None):
        self.seconds = []

    def on_train_batch_end(self, batch, logs=None):
        float(logs["loss"])  # waits for what has only been started
        now = time.perf_counter()
        if batch:
            self.seconds.append(now - self._last)
        self._last = now


def measure_large(options) -> list[dict]:
    """Returns the seconds of all steps of some rounds, of which the first compiles."""
    rng = np.random.default_rng(0)
    x = rng.random((BATCH_SIZE * LARGE_STEPS, 784), dtype="float32")
    y = rng.integers(0, 10, len(x))
    model, rounds = make_model((LARGE_UNITS,) * 4), []
    kinds = list(large_monitors().items())
    for index in range(1 + options.rounds):
        first, seconds = index % len(kinds), {}
        for name, make in kinds[first:] + kinds[:first]:
            times = StepTimes()
            model.fit(
                *(x, y), batch_size=BATCH_SIZE, verbose=0, callbacks=[*make(), times]
            )  # fmt: skip
            seconds[name] = times.seconds
        rounds.append(seconds)
        print(f"round {index} of {options.rounds}", flush=True)
    return rounds[1:]


def summarize_large(rounds: list[dict]) -> dict:
    ratios = {name: [] for name in (*rounds[0], "defaults") if name != BOTH}
    for seconds in rounds:
        plain = statistics.median(seconds["plain"])
        for name in seconds.keys() & ratios.keys():
            ratios[name].append(statistics.median(seconds[name]) / plain)
        # The first step is not among the seconds.
        looks = seconds[BOTH][LARGE_EVERY - 1 :: LARGE_EVERY]
        others = [s for s in seconds[BOTH] if s not in looks]
        look, other = map(statistics.median, (looks, others))
        ratios["defaults"].append((look + 49 * other) / (50 * plain))
        ratios.setdefault("one look of the defaults", []).append(look / plain)
    plain = statistics.median(s for each in rounds for s in each["plain"])
    return {
        "costs": {name: statistics.median(values) for name, values in ratios.items()},
        "milliseconds_a_plain_step": 1000 * plain,
        "rounds": rounds,
    }


class Turns:
    """Lets one of many threads work at a time, and keeps the time that each took."""

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
    """Begins an epoch before the monitors do."""

    def __init__(self, turns, name):
        super().__init__()
        self.turns, self.name = turns, name

    def on_epoch_begin(self, epoch, logs=None):
        self.turns.seconds[self.name].append([])


class LastCallback(keras.callbacks.Callback):
    """Gives the turn away after some steps, and at the end of an epoch."""

    def __init__(self, turns, name, steps):
        super().__init__()
        self.turns, self.name, self.steps = turns, name, steps

    def on_train_batch_end(self, batch, logs=None):
        if (batch + 1) % self.steps == 0:
            float(logs["loss"])  # waits for what has only been started
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
    """Trains one model, in its turns."""
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
    turns.seconds[name].append([])  # for what follows the last epoch
    turns.pass_on(name)


def measure(options) -> list[dict]:
    """Returns the seconds of all turns of some rounds."""
    rng = np.random.default_rng(0)
    x = rng.random((BATCH_SIZE * options.steps, 784), dtype="float32")
    y = rng.integers(0, 10, len(x))
    kinds = [
        (name, make)
        for name, make in monitors(x).items()
        if name in {"plain", *(options.kinds or monitors(x))}
    ]
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
    """Returns the seconds of all turns of all epochs, by kind."""
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
    """Returns the seconds of an epoch, of which the last turn is shorter."""
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
    parser.add_argument(
        "--kinds", nargs="+", metavar="KIND", help=f"of {list(monitors([]))}"
    )
    parser.add_argument("--steps", type=int, default=469, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=2, help="that are measured")
    parser.add_argument("--turn", type=int, default=50, help="steps of a turn")
    parser.add_argument("--dry", action="store_true", help="save nothing")
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
