"""Chooses settings on validation data, then tests them once with each fresh seed.

Rows that are already in `results/` are not measured again. An interrupted benchmark can
therefore continue, and the raw results are a log of every evaluation on a test set.
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
    """Returns the rows of a task that are already in `results/{benchmark}.json`."""
    return results.load(benchmark).get(name, [])


def choose(benchmark: str, name: str, candidates: dict, measure: Callable) -> None:
    """Measures every candidate on validation data, with seed 0.

    Args:
        benchmark: Name of the benchmark. The rows are written to
            `results/{benchmark}_choice.json`.
        name: Name of the task.
        candidates: Dict that maps the name of each candidate to its settings.
        measure: Function that maps a candidate to the results in its row.
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
        raise SystemExit(f"error: first run benchmarks/{benchmark}.py choose '{name}'")
    rows = [row for row in rows if row["candidate"] in candidates]
    return max(rows, key=score)["candidate"]


def run(
    benchmark: str, name: str, label: str, candidate, seeds: int, measure: Callable
) -> None:
    """Measures the chosen candidate with fresh seeds on test data.

    If a candidate that was added later performs better on validation data, the rows of
    the previous choice are kept, and the new choice is measured with different seeds.

    Args:
        benchmark: Name of the benchmark. The rows are written to
            `results/{benchmark}.json`.
        name: Name of the task.
        label: Name of the candidate.
        candidate: Settings of the candidate, a dataclass.
        seeds: Number of seeds.
        measure: Function that maps the candidate and a seed to the results in a row.
    """
    rows = stored(benchmark, name)
    first = FIRST_FRESH_SEED + sum(row["candidate"] != label for row in rows)
    done = {row["seed"] for row in rows}
    for seed in [seed for seed in range(first, first + seeds) if seed not in done]:
        row = {"candidate": label, "seed": seed, **measure(candidate, seed)}
        _append(benchmark, name, row | {"settings": dataclasses.asdict(candidate)})


def fit(model: keras.Model, dataset, epochs: int) -> float:
    """Trains with a warm-up and a half cosine; returns the duration in seconds."""
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
