"""Compares the searches of `tuning`, and measures the cost of a trial.

    python benchmarks/search.py grid            # random against grid search
    python benchmarks/search.py synthetic       # coarse to fine, random and TPE
    python benchmarks/search.py fashion_mnist   # the same, with real networks
    python benchmarks/search.py scale           # log scale against linear scale
    python benchmarks/search.py overhead        # time of an empty trial; 5 minutes
    python benchmarks/search.py large           # waiting times in large searches
    python benchmarks/search.py workers         # two workers; about 40 minutes
    python benchmarks/search.py waiting         # at the end of a round; simulated

Most entries of `results/search.json` have one row per seed, which is saved as soon as
it has been measured. Existing results are not measured again, but a search that is
missing in a row is added. `overhead`, `large` and `waiting` are measured anew. Searches
that are compared have the same number of trials, and their first trial uses the default
values. No test split is used: all scores on real data are computed on validation data.
"""

import argparse
import functools
import itertools
import os
import statistics
import tempfile
import time
import warnings

import keras
import keras_tuner
import matplotlib
import numpy as np
from results import load, machine, save
from search_workers import measure_workers, waiting

from tuning import CoarseToFineSearch, MLPSpace, OptunaSearch, RandomSearch
from zoo import datasets, mlp

NAMES = "abcde"
ROUNDS, PER_ROUND = 3, 20
FEW_TRIALS, MANY_TRIALS = 100, 10_000
MANY_ROUNDS, WIDE = 100, 200
OVERHEADS = {"overhead": (FEW_TRIALS, 3), "overhead_5000": (5_000, 1)}


def low_dimension(x: dict) -> float:
    """Computes a quadratic bowl that depends on only 2 of the 5 dimensions."""
    return (x["a"] - 0.31) ** 2 + (x["b"] - 0.77) ** 2


def cliff(x: dict) -> float:
    """Computes a slope that ends in a cliff, like the loss as the learning rate grows.

    Two other dimensions, b and c, matter less.
    """
    value = 1.5 * (0.62 - x["a"]) if x["a"] < 0.62 else 10.0
    return value + 0.3 * (x["b"] - 0.4) ** 2 + 0.05 * x["c"]


def branin(x: dict) -> float:
    """Computes the function of Branin (1972), shifted to have three minima of 0."""
    a, b = 15 * x["a"] - 5, 15 * x["b"]
    bowl = (b - 5.1 / (4 * np.pi**2) * a**2 + 5 / np.pi * a - 6) ** 2
    return bowl + 10 * (1 - 1 / (8 * np.pi)) * np.cos(a) + 10 - 0.397887


def bowl(x: dict) -> float:
    """Computes a quadratic bowl in all dimensions."""
    return sum((x[name] - 0.2 - 0.15 * i) ** 2 for i, name in enumerate(NAMES))


def noisy_bowl(x: dict) -> float:
    """Adds noise to the bowl, as a search would observe it.

    The same point always gets the same noise.
    """
    noise = np.random.default_rng([int(1e9 * x[name]) for name in NAMES])
    return bowl(x) + 0.04 * noise.standard_normal()


# The function that a search observes, and the function that scores its best trial.
FUNCTIONS = {
    "low_dimension": (low_dimension, low_dimension),
    "cliff": (cliff, cliff),
    "branin": (branin, branin),
    "noisy_bowl": (noisy_bowl, bowl),
}


def unit_cube() -> keras_tuner.HyperParameters:
    hp = keras_tuner.HyperParameters()
    for name in NAMES:
        hp.Float(name, 0.0, 1.0, default=0.5)
    return hp


def search_function(cls, function, seed: int, **options) -> list[dict]:
    """Runs a search; returns, after each trial, the best hyperparameters so far."""

    class Search(cls):
        def run_trial(self, trial, *args, **kwargs):
            return float(function(trial.hyperparameters.values))

    with tempfile.TemporaryDirectory() as folder:
        search = Search(
            seed=seed, hyperparameters=unit_cube(), directory=folder, **options
        )
        search.search(verbose=0)
        best, values = np.inf, []
        for trial in search.oracle.trials.values():
            if trial.score < best:
                best, found = trial.score, trial.hyperparameters.values
            values.append(found)
        return values


def grid(seed: int, done: dict) -> dict:
    """Compares random search with a grid of 3 values in each of 5 dimensions.

    Both have 243 trials. The score of random search after 60 trials is recorded, too.
    """
    if done:
        return {}
    found = search_function(RandomSearch, low_dimension, seed, max_trials=243)
    scores = {"random": found[-1], "random_after_60": found[59]}
    return {"grid": grid_best(), **{key: low_dimension(x) for key, x in scores.items()}}


def grid_best() -> float:
    values = (np.arange(3) + 0.5) / 3
    return min(
        low_dimension(dict(zip(NAMES, point, strict=True)))
        for point in itertools.product(values, repeat=len(NAMES))
    )


def synthetic(seed: int, done: dict) -> dict:
    """Compares the searches on four functions, 60 trials each."""
    row = {}
    for name, (function, truth) in FUNCTIONS.items():
        for key, (cls, options) in SEARCHES.items():
            if f"{name}, {key}" in done:
                continue
            found = search_function(cls, function, seed, **options)
            row[f"{name}, {key}"] = truth(found[-1])
    return row


@functools.cache
def small_fashion_mnist(examples: int = 2_000):
    """Returns a small part of Fashion-MNIST, and unseen validation data.

    The unseen data are used to evaluate the model that a search has found.
    """
    data = datasets.load("fashion_mnist", seed=0)
    train, validation = (
        tuple(np.concatenate(part) for part in zip(*split, strict=True))
        for split in (data.train, data.validation)
    )
    small, seen = (
        tuple(part[:examples] for part in pair) for pair in (train, validation)
    )
    unseen = tuple(part[examples:] for part in validation)
    return datasets.from_arrays(small, validation=seen, name="fashion_mnist"), unseen


def fashion_mnist(seed: int, done: dict) -> dict:
    """Compares the searches on an MLP, with a small budget per trial."""
    data, unseen = small_fashion_mnist()
    row = {}
    for key, (cls, options) in SEARCHES.items():
        if key in done:
            continue
        start = time.perf_counter()
        with tempfile.TemporaryDirectory() as folder:
            search = cls(
                MLPSpace(data),
                "val_accuracy",
                seed=seed,
                checkpoints=1,
                directory=folder,
                **options,
            )
            run(search, data, epochs=2)
            row[f"{key}, as seen"] = float(search.best_so_far_info()["best"][-1])
            best = search.best_model()
            row[key] = best.evaluate(*unseen, verbose=0, return_dict=True)["accuracy"]
        row[f"{key}, seconds"] = round(time.perf_counter() - start, 1)
    return row


def scale(seed: int, done: dict) -> dict:
    """Compares log and linear sampling of a learning rate in [1e-6, 10]."""
    if done:
        return {}
    data = datasets.load("digits", seed=0)
    row = {}
    for sampling in ("log", "linear"):

        def build(hp, sampling=sampling):
            rate = hp.Float("rate", 1e-6, 10.0, sampling=sampling, default=1e-6)
            model = mlp(data.input_shape, data.num_outputs, units=(64,))
            optimizer = keras.optimizers.SGD(rate, momentum=0.9)
            model.compile(optimizer, data.loss, metrics=data.metrics)
            return model

        with tempfile.TemporaryDirectory() as folder:
            search = RandomSearch(
                build, "val_accuracy", 15, seed=seed, checkpoints=0, directory=folder
            )
            run(search, data, epochs=3)
            row[sampling] = float(search.best_so_far_info()["best"][-1])
    return row


def run(search, data, epochs: int) -> None:
    search.search(
        data.train,
        validation_data=data.validation,
        epochs=epochs,
        shuffle=False,
        verbose=0,
    )


def overhead(trials: int, repeats: int) -> dict:
    """Measures the seconds per trial with an empty objective.

    The tools take turns.

    Args:
        trials: Integer >= 1, number of trials per search.
        repeats: Integer >= 1, number of searches per tool.
    """
    tools = {"kerascope": _search, "keras_tuner": _stock_search}
    if trials <= FEW_TRIALS:  # SQLite would take minutes for more trials
        tools["optuna, SQLite"] = _optuna_study
    seconds = {name: [] for name in tools}
    for _ in range(repeats):
        for name, run_trials in tools.items():
            with tempfile.TemporaryDirectory() as folder:
                start = time.perf_counter()
                try:
                    run_trials(folder, trials)
                except ImportError:
                    print(f"{name} is not installed")
                    seconds.pop(name, None)
                    continue
                seconds[name].append((time.perf_counter() - start) / trials)
    for name, times in seconds.items():
        milliseconds = 1000 * statistics.median(times)
        print(f"{trials} trials, {name}: {milliseconds:.1f} ms a trial", flush=True)
    return {"trials": trials, "seconds_per_trial": seconds}


def _search(folder: str, trials: int) -> None:
    _empty(RandomSearch, folder, trials).search(verbose=0)


def _stock_search(folder: str, trials: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _empty(keras_tuner.RandomSearch, folder, trials).search(verbose=0)


def _optuna_study(folder: str, trials: int) -> None:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=f"sqlite:///{folder}/study.db",
        sampler=optuna.samplers.RandomSampler(0),
    )
    study.optimize(
        lambda trial: sum(trial.suggest_float(name, 0, 1) for name in NAMES),
        n_trials=trials,
    )


def large() -> dict:
    """Measures operations that a user waits for in large searches, in seconds."""
    seconds = {}
    with tempfile.TemporaryDirectory() as folder:
        _search(folder, MANY_TRIALS)
        start = time.perf_counter()
        search = _empty(RandomSearch, folder, MANY_TRIALS)
        seconds[f"reopen {MANY_TRIALS:,} trials"] = time.perf_counter() - start
        if len(search.results()) != MANY_TRIALS:
            raise RuntimeError("The reopened search does not have all trials.")

    class Bowl(CoarseToFineSearch):
        def run_trial(self, trial, *args, **kwargs):
            return float(bowl(trial.hyperparameters.values))

    with tempfile.TemporaryDirectory() as folder:
        options = {"rounds": MANY_ROUNDS, "trials_per_round": PER_ROUND, "seed": 0}
        search = Bowl(hyperparameters=unit_cube(), directory=folder, **options)
        search.search(verbose=0)
        start = time.perf_counter()
        figure = search.plot()
        with tempfile.TemporaryFile() as file:
            figure.savefig(file)
        seconds[f"plot {MANY_ROUNDS} rounds of {PER_ROUND}"] = (
            time.perf_counter() - start
        )

    class Wide(RandomSearch):
        def run_trial(self, trial, *args, **kwargs):
            hp = trial.hyperparameters
            return sum(hp.Float(f"x{i}", 0.0, 1.0) / (i + 1) for i in range(WIDE))

    with tempfile.TemporaryDirectory() as folder:
        search = Wide(max_trials=FEW_TRIALS, seed=0, directory=folder)
        search.search(verbose=0)
        start = time.perf_counter()
        search.importance()
        seconds[f"importance of {WIDE} hyperparameters, {FEW_TRIALS} trials"] = (
            time.perf_counter() - start
        )
    for name, value in seconds.items():
        print(f"{name}: {value:.2f} s", flush=True)
    return {"seconds": seconds}


def _empty(cls, folder: str, trials: int):
    class Empty(cls):
        def run_trial(self, trial, *args, **kwargs):
            return sum(trial.hyperparameters.values.values())

    return Empty(
        objective=keras_tuner.Objective("loss", "min"),
        max_trials=trials,
        seed=1,
        hyperparameters=unit_cube(),
        directory=folder,
    )


SEARCHES = {
    "coarse to fine": (
        CoarseToFineSearch,
        {"rounds": ROUNDS, "trials_per_round": PER_ROUND},
    ),
    "with candidates": (
        CoarseToFineSearch,
        {"rounds": 12, "trials_per_round": 5, "candidates": 30},
    ),
    "random": (RandomSearch, {"max_trials": ROUNDS * PER_ROUND}),
    "TPE": (OptunaSearch, {"max_trials": ROUNDS * PER_ROUND}),
}
MEASUREMENTS = {f.__name__: f for f in (grid, synthetic, fashion_mnist, scale)}


def measure(name: str, seeds: int, *, is_saved: bool) -> None:
    """Measures the results that are missing, and saves each row if `is_saved`."""
    runs = load("search").get(name, {}).get("runs", []) if is_saved else []
    for seed in range(seeds):
        done = runs[seed] if seed < len(runs) else {}
        new = MEASUREMENTS[name](seed, done)
        if not new:
            continue
        runs[seed : seed + 1] = [{"seed": seed, **done, **new}]
        print(name, runs[seed], flush=True)
        if is_saved:
            save("search", name, {"machine": machine(), "runs": runs})


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    others = ("overhead", "large", "workers", "waiting")
    parser.add_argument("what", choices=[*MEASUREMENTS, *others])
    parser.add_argument("--seeds", type=int, default=20)
    parser.add_argument("--rounds", type=int, default=3, help="of `workers`")
    parser.add_argument("--no-save", action="store_true", help="only print results")
    options = parser.parse_args()

    def keep(name: str, entry: dict) -> None:
        if not options.no_save:
            save("search", name, {"machine": machine(), **entry})

    if options.what == "workers":
        done = {} if options.no_save else load("search")
        measure_workers(options.rounds, done, keep)
    elif options.what == "waiting":
        keep("waiting", waiting())
    elif options.what == "large":
        keep("large", large())
    elif options.what == "overhead":
        for key, (trials, repeats) in OVERHEADS.items():
            keep(key, overhead(trials, repeats))
    else:
        measure(options.what, options.seeds, is_saved=not options.no_save)


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    matplotlib.use("Agg")
    main()
