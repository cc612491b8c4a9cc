"""Settings are chosen on validation data; then fresh seeds read the test set once.

What stands in `results/` is not run again, so that a benchmark that was interrupted
goes on, and its raw results are the log of every reading of a test set.
"""

import dataclasses
import time
from collections.abc import Callable

import keras
import results

from callbacks import ScheduleLearningRate
from callbacks.schedules import Cosine

FIRST_FRESH_SEED = 100


def stored(benchmark: str, name: str) -> list[dict]:
    """Returns the rows of a task that an earlier run has written."""
    return results.load(benchmark).get(name, [])


def choose(benchmark: str, name: str, candidates: dict, measure: Callable) -> None:
    """Measures every candidate on validation data, with seed 0.

    Args:
        benchmark: Rows are written to `results/{benchmark}_choice.json`.
        name: Name of the task.
        candidates: Settings by their names.
        measure: Function of one of them to the figures of its row.
    """
    file = f"{benchmark}_choice"
    done = {row["candidate"] for row in stored(file, name)}
    for label in [label for label in candidates if label not in done]:
        row = {"candidate": label, "seed": 0, **measure(candidates[label])}
        _append(file, name, row)


def best_candidate(benchmark: str, name: str, candidates: dict, score: Callable) -> str:
    """Returns the name of the candidate whose row has the highest score."""
    if len(candidates) == 1:
        return next(iter(candidates))
    rows = stored(f"{benchmark}_choice", name)
    if not candidates.keys() <= {row["candidate"] for row in rows}:
        raise SystemExit(f"error: first: benchmarks/{benchmark}.py choose '{name}'")
    rows = [row for row in rows if row["candidate"] in candidates]
    return max(rows, key=score)["candidate"]


def run(
    benchmark: str, name: str, label: str, candidate, seeds: int, measure: Callable
) -> None:
    """Measures the chosen candidate with fresh seeds, on test data.

    Where candidates came later and one of them was better on validation data, the rows
    of the former choice stay, and the new one has seeds of its own.

    Args:
        benchmark: Rows are written to `results/{benchmark}.json`.
        name: Name of the task.
        label: Name of the candidate.
        candidate: Its settings, a dataclass.
        seeds: Number of seeds.
        measure: Function of the candidate and a seed to the figures of a row.
    """
    rows = stored(benchmark, name)
    first = FIRST_FRESH_SEED + sum(row["candidate"] != label for row in rows)
    done = {row["seed"] for row in rows}
    for seed in [seed for seed in range(first, first + seeds) if seed not in done]:
        row = {"candidate": label, "seed": seed, **measure(candidate, seed)}
        _append(benchmark, name, row | {"settings": dataclasses.asdict(candidate)})


def fit(model: keras.Model, dataset, epochs: int) -> float:
    """Trains with half a cosine after a warm-up; returns the seconds of it."""
    schedule = Cosine(epochs, warmup=min(1, epochs / 4))
    start = time.perf_counter()
    model.fit(
        dataset,
        epochs=epochs,
        shuffle=False,
        verbose=2,
        callbacks=[ScheduleLearningRate(schedule)],
    )
    return round(time.perf_counter() - start, 1)


def _append(benchmark: str, name: str, row: dict) -> None:
    print(name, row, flush=True)
    rows = [*stored(benchmark, name), row | results.machine()]
    results.save(benchmark, name, rows)
