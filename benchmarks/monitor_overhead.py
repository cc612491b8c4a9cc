"""What the monitors of the training step cost, on a model that is small and fast.

    python benchmarks/monitor_overhead.py

In one process and in turn, over several rounds: `fit` of an MLP 784-512-512-512-10
with Adam on batches of 128, plain and with monitors, on the backend that
`KERAS_BACKEND` names. An epoch has as many steps as one of MNIST; the first epoch,
which compiles the step, is counted apart. A cost is the time of the later epochs over
that of the plain `fit` of the same round; the order changes from round to round. The
median over the rounds goes to `results/monitor_overhead.json`.
"""

import argparse
import statistics
import time

import keras
import numpy as np
from results import machine, save

from callbacks import ActivationHistograms, GradientHistograms, UpdateRatio
from zoo import mlp

BATCH_SIZE, SAMPLE_SIZE = 128, 256


def monitors(x) -> dict:
    """Returns by name what makes the callbacks of a `fit`."""
    return {
        "plain": lambda: [],
        "all, defaults": lambda: [
            UpdateRatio(),
            GradientHistograms(),
            ActivationHistograms(x[:SAMPLE_SIZE]),
        ],
        "UpdateRatio(every=1)": lambda: [UpdateRatio(every=1)],
        "UpdateRatio(every=10)": lambda: [UpdateRatio(every=10)],
        "GradientHistograms(every=1)": lambda: [GradientHistograms(every=1)],
    }


class Stopwatch(keras.callbacks.Callback):
    """Keeps the ends of the epochs; as the last callback, after all others."""

    def on_train_begin(self, logs=None):
        self.times = [time.perf_counter()]

    def on_epoch_end(self, epoch, logs=None):
        self.times.append(time.perf_counter())


def make_model():
    model = mlp((784,), 10, units=(512, 512, 512))
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
    model.compile("adam", loss, metrics=["accuracy"])
    return model


def seconds(model, x, y, callbacks, epochs) -> tuple[float, float]:
    """Returns the seconds of the first epoch, and of a later one."""
    stopwatch = Stopwatch()
    model.fit(
        x,
        y,
        batch_size=BATCH_SIZE,
        epochs=1 + epochs,
        verbose=0,
        callbacks=[*callbacks, stopwatch],
    )
    first, *later = np.diff(stopwatch.times)
    return float(first), float(np.mean(later))


def measure(options) -> dict:
    rng = np.random.default_rng(0)
    x = rng.random((BATCH_SIZE * options.steps, 784), dtype="float32")
    y = rng.integers(0, 10, len(x))
    kinds = monitors(x)
    models = {name: make_model() for name in kinds}
    names = list(kinds)
    rounds = []
    for index in range(options.rounds):
        turn = index % len(names)
        found = {}
        for name in names[turn:] + names[:turn]:
            first, later = seconds(models[name], x, y, kinds[name](), options.epochs)
            found[name] = {"first": first, "later": later}
        rounds.append(found)
        costs = {n: found[n]["later"] / found["plain"]["later"] for n in names}
        print(f"round {index + 1}", {n: round(c, 3) for n, c in costs.items()})
    costs = {
        name: statistics.median(
            found[name]["later"] / found["plain"]["later"] for found in rounds
        )
        for name in names
    }
    step = statistics.median(found["plain"]["later"] for found in rounds)
    retrace = statistics.median(
        found["all, defaults"]["first"] - found["all, defaults"]["later"]
        for found in rounds
    )
    return {
        "costs": costs,
        "milliseconds_a_plain_step": 1000 * step / options.steps,
        "rounds": rounds,
        "seconds_to_compile": retrace,
        "steps": options.steps,
    }


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=469, help="of an epoch")
    parser.add_argument("--epochs", type=int, default=2, help="that are measured")
    parser.add_argument("--dry", action="store_true", help="save nothing")
    return parser.parse_args(arguments)


def main():
    options = parse_arguments()
    keras.utils.set_random_seed(0)
    entry = measure(options)
    print(keras.backend.backend(), entry["costs"])
    if not options.dry:
        save(
            "monitor_overhead", keras.backend.backend(), entry | {"machine": machine()}
        )


if __name__ == "__main__":
    main()
