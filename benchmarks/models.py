"""What the builders of the zoo reach on real data, beside published figures.

    python benchmarks/models.py choose TASK [...]   # settings, on validation data alone
    python benchmarks/models.py run TASK [...]      # fresh seeds, test read once each
    python benchmarks/models.py run && python benchmarks/tables.py --write

`choose` trains every candidate of a task with seed 0 and writes its validation score
to `results/models_choice.json`; the best of them is what `run` takes. `run` trains
with fresh seeds on train and validation data together, for the epochs that were
chosen, and reads the test set once, at the end; each such reading is a row of
`results/models.json`. What stands in either file is not run again, so a run that was
interrupted goes on, and the raw results are the log of every reading of a test set.

(The script is not called `zoo.py`, which would hide the package from its neighbours.)
"""

import argparse
import time
from dataclasses import dataclass, field

import keras
import results

from callbacks import ScheduleLearningRate
from callbacks.schedules import Cosine
from zoo import datasets, mlp, res_mlp

FIRST_FRESH_SEED = 100


@dataclass(frozen=True)
class Candidate:
    """Settings of one training."""

    options: dict  # of the builder
    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.02


@dataclass(frozen=True)
class Task:
    """What a row of the table trains."""

    dataset: str
    build: callable
    candidates: dict[str, Candidate]
    metric: str = "accuracy"
    augment: bool = False
    seeds: int = 5
    load: dict = field(default_factory=dict)


MLPS = {
    "2 x 512, dropout .3": Candidate(
        {"units": (512, 512), "normalization": "batch", "dropout": 0.3}
    ),
    "2 x 512, dropout .5, input dropout .1": Candidate(
        {
            "units": (512, 512),
            "normalization": "batch",
            "dropout": 0.5,
            "input_dropout": 0.1,
        }
    ),
    "3 x 512, dropout .4, input dropout .1": Candidate(
        {
            "units": (512, 512, 512),
            "normalization": "batch",
            "dropout": 0.4,
            "input_dropout": 0.1,
        }
    ),
}
RES_MLPS = {
    "384, 2 blocks, dropout .3": Candidate(
        {"units": 384, "num_blocks": 2, "dropout": 0.3, "residual_dropout": 0.1}
    ),
    "384, 2 blocks, dropout .5, input dropout .1": Candidate(
        {"units": 384, "num_blocks": 2, "dropout": 0.5, "input_dropout": 0.1}
    ),
    "384, 4 blocks, dropout .5, input dropout .1, stochastic depth .2": Candidate(
        {
            "units": 384,
            "num_blocks": 4,
            "dropout": 0.5,
            "input_dropout": 0.1,
            "stochastic_depth": 0.2,
        }
    ),
}
TASKS = {
    "mnist, mlp": Task("mnist", mlp, MLPS),
    "mnist, res_mlp": Task("mnist", res_mlp, RES_MLPS),
    "fashion_mnist, mlp": Task("fashion_mnist", mlp, MLPS),
    "fashion_mnist, res_mlp": Task("fashion_mnist", res_mlp, RES_MLPS),
    "fashion_mnist, res_mlp, augmented": Task(
        "fashion_mnist", res_mlp, RES_MLPS, augment=True
    ),
}


def augmentation() -> keras.Sequential:
    return keras.Sequential(
        [
            keras.layers.RandomFlip("horizontal"),
            keras.layers.RandomTranslation(0.08, 0.08, fill_mode="constant"),
        ],
        name="augmentation",
    )


def train(task: Task, candidate: Candidate, seed: int, validation: float):
    """Trains one model; returns it, its data and the seconds of `fit`."""
    keras.utils.set_random_seed(seed)
    data = datasets.load(
        task.dataset,
        batch_size=candidate.batch_size,
        validation=validation,
        seed=seed,
        **task.load,
    )
    options = dict(candidate.options, preprocessing=data.normalization())
    if task.augment:
        options["augmentation"] = augmentation()
    if data.task == "regression":
        options["postprocessing"] = data.denormalization()
    model = task.build(data.input_shape, data.num_outputs, **options)
    model.compile(
        keras.optimizers.AdamW(
            candidate.learning_rate, weight_decay=candidate.weight_decay
        ),
        data.loss,
        metrics=data.metrics,
        jit_compile=not task.augment,
    )
    start = time.perf_counter()
    model.fit(
        data.train,
        epochs=candidate.epochs,
        shuffle=False,
        verbose=2,
        callbacks=[ScheduleLearningRate(Cosine(candidate.epochs, warmup=1))],
    )
    return model, data, time.perf_counter() - start


def score(model, dataset) -> dict:
    return model.evaluate(dataset, verbose=0, return_dict=True)


def stored(benchmark: str, name: str) -> list[dict]:
    """Returns the rows of a task that an earlier run has written."""
    try:
        return results.load(benchmark)[name]
    except (FileNotFoundError, KeyError):
        return []


def choose(name: str, task: Task) -> None:
    rows = stored("models_choice", name)
    done = {row["candidate"] for row in rows}
    for label in [label for label in task.candidates if label not in done]:
        model, data, seconds = train(task, task.candidates[label], 0, validation=0.1)
        row = {"candidate": label, "seed": 0, "seconds": round(seconds, 1)}
        row["validation"] = score(model, data.validation)[task.metric]
        print(name, row, flush=True)
        rows = [*rows, row | results.machine()]
        results.save("models_choice", name, rows)


def best_candidate(name: str, task: Task) -> str:
    """Returns the candidate of the best validation score."""
    rows = stored("models_choice", name)
    if {row["candidate"] for row in rows} != task.candidates.keys():
        raise SystemExit(f"error: choose first: benchmarks/models.py choose '{name}'")
    pick = min if task.metric == "rmse" else max
    return pick(rows, key=lambda row: row["validation"])["candidate"]


def run(name: str, task: Task) -> None:
    label = best_candidate(name, task)
    rows = stored("models", name)
    seeds = range(FIRST_FRESH_SEED, FIRST_FRESH_SEED + task.seeds)
    for seed in sorted(set(seeds) - {row["seed"] for row in rows}):
        model, data, seconds = train(task, task.candidates[label], seed, validation=0)
        row = {"candidate": label, "seed": seed, "seconds": round(seconds, 1)}
        row["parameters"] = model.count_params()
        row["test"] = score(model, data.test)[task.metric]
        print(name, row, flush=True)
        rows = [*rows, row | results.machine()]
        results.save("models", name, rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=("choose", "run"))
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="default: all")
    options = parser.parse_args()
    for name in options.tasks or TASKS:
        if name not in TASKS:
            parser.error(f"argument TASK: expected one of {list(TASKS)}: {name}")
        {"choose": choose, "run": run}[options.action](name, TASKS[name])


if __name__ == "__main__":
    main()
