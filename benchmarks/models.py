"""Evaluates the model builders of the zoo on real data, next to published results.

    python benchmarks/models.py choose TASK [...]   # settings, on validation data only
    python benchmarks/models.py run TASK [...]      # test results, fresh seeds
    python benchmarks/models.py ensemble TASK [...] # test result of these together
    python benchmarks/models.py speed TASK [...]    # time of an epoch, MLP = 1
    python benchmarks/models.py run && python benchmarks/tables.py --write

`choose` trains every candidate of a task with seed 0, and writes its validation score
to `results/models_choice.json`.

`run` uses the candidate with the best score. It trains with fresh seeds on the train
and validation data together, for the number of epochs of the candidate. Each trained
model is evaluated once on the test set, and each evaluation is a row of
`results/models.json` (see `protocol.py`). For `tiny_shakespeare`, `run` does not train
on the validation split, because the published result is on both validation and test
data.

`run` also saves the models to `runs/models/`. `ensemble` averages the probabilities of
those of one task, and evaluates this ensemble once on the test set.

(This script is not called `zoo.py`, because that name would hide the package `zoo` from
the other scripts in this folder.)
"""

import argparse
import itertools
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

import keras
import numpy as np
import protocol
import results
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from zoo import LanguageModel, datasets, ensemble, lstm, mlp, res_mlp

MODELS = Path(__file__).parent.parent / "runs" / "models"
LOWER_IS_BETTER = ("loss", "rmse")


@dataclass(frozen=True)
class Candidate:
    """Settings of one training run."""

    options: dict  # arguments of the builder
    epochs: int = 20
    batch_size: int = 256
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    clipnorm: float | None = None
    load: dict = field(default_factory=dict)  # arguments of `datasets.load`
    flip: bool = False  # augmentation: mirror half of the images
    shift: float = 0.0  # augmentation: largest shift, as a fraction of the size
    distort: float = 0.0  # augmentation: largest rotation (radians), zoom and shear


@dataclass(frozen=True)
class Task:
    """Training task for one row of the table."""

    dataset: str
    build: Callable
    candidates: dict[str, Candidate]
    metric: str = "accuracy"
    validation: float = 0.0  # fraction held out in `run`
    seeds: int = 5


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
    "2 x 1024, dropout .5, input dropout .2, 60 epochs": Candidate(
        {"units": (1024, 1024), "dropout": 0.5, "input_dropout": 0.2},
        epochs=60,
        learning_rate=1e-3,
    ),
    "2 x 1024, dropout .5, input dropout .2, batch normalization, 60 epochs": Candidate(
        {
            "units": (1024, 1024),
            "normalization": "batch",
            "dropout": 0.5,
            "input_dropout": 0.2,
        },
        epochs=60,
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
    "512, 3 blocks, dropout .5, input dropout .2, 60 epochs": Candidate(
        {"units": 512, "num_blocks": 3, "dropout": 0.5, "input_dropout": 0.2},
        epochs=60,
    ),
    "384, 4 blocks, dropout .5, input dropout .2, stochastic depth .2, 60 epochs": (
        Candidate(
            {
                "units": 384,
                "num_blocks": 4,
                "dropout": 0.5,
                "input_dropout": 0.2,
                "stochastic_depth": 0.2,
            },
            epochs=60,
        )
    ),
}
# These candidates have less dropout and more epochs, because augmentation regularizes,
# too, and slows down learning: with the dropout above and 20 epochs, the final accuracy
# was 87 % on the train split and 88.3 % on the test split.
AUGMENTED = {
    f"384, 4 blocks, dropout .2, {label}": Candidate(
        {"units": 384, "num_blocks": 4, "dropout": 0.2}, epochs=30, **augmentation
    )
    for label, augmentation in {
        "shifts": {"shift": 1.5 / 28},
        "flips": {"flip": True},
        "flips and shifts": {"flip": True, "shift": 1.5 / 28},
    }.items()
}
DISTORTED = {
    f"2 x {units}, dropout {dropout}, distortions": Candidate(
        {"units": (units, units), "normalization": "batch", "dropout": dropout},
        epochs=60,
        shift=2 / 28,
        distort=0.2,
    )
    for units, dropout in ((1024, 0.2), (2048, 0.3))
}
ROW_LSTMS = {
    "128, dropout .2": Candidate(
        {"units": (128,), "dropout": 0.2}, epochs=15, batch_size=128
    ),
    "128, mean pooling, dropout .2": Candidate(
        {"units": (128,), "pooling": "mean", "dropout": 0.2}, epochs=15, batch_size=128
    ),
}
REVIEW_LSTMS = {
    "64, mean pooling, dropout .5": Candidate(
        {"units": (64,), "embedding_size": 64, "pooling": "mean", "dropout": 0.5},
        epochs=4,
        batch_size=64,
        load={"sequence_length": 400},
    ),
    "64, max pooling, dropout .5, embedding dropout .2": Candidate(
        {
            "units": (64,),
            "embedding_size": 64,
            "pooling": "max",
            "dropout": 0.5,
            "embedding_dropout": 0.2,
        },
        epochs=4,
        batch_size=64,
        load={"sequence_length": 400},
    ),
}
for pooling in ("mean", "max"):
    label = f"64, {pooling} pooling, dropout .5, embedding dropout .5"
    regularized = Candidate(
        {
            "units": (64,),
            "embedding_size": 64,
            "pooling": pooling,
            "dropout": 0.5,
            "embedding_dropout": 0.5,
        },
        epochs=5,
        batch_size=128,
        learning_rate=3e-3,
        load={"sequence_length": 400},
    )
    # A smaller vocabulary excludes most names of films and people, which occur in both
    # train and validation reviews, but not in test reviews.
    fewer = {"sequence_length": 400, "vocabulary_size": 5_000}
    REVIEW_LSTMS |= {
        label: regularized,
        f"{label}, 5,000 words": replace(regularized, epochs=8, load=fewer),
    }
ONE_WAY = "64, max pooling, dropout .5, embedding dropout .5, 5,000 words"
REVIEW_LSTMS[f"{ONE_WAY}, first 600 words, both directions"] = replace(
    REVIEW_LSTMS[ONE_WAY],
    options=REVIEW_LSTMS[ONE_WAY].options | {"bidirectional": True},
    epochs=6,
    load=REVIEW_LSTMS[ONE_WAY].load | {"sequence_length": 600},
)
CHARACTER_LSTMS = {
    "512, dropout .2, batches of 16": Candidate(
        {
            "units": (512,),
            "embedding_size": 64,
            "dropout": 0.2,
            "return_sequences": True,
        },
        epochs=10,
        batch_size=16,
        learning_rate=4e-3,
        clipnorm=1.0,
        load={"sequence_length": 128},
    ),
}
TABLE_MLPS = {
    f"{depth} x {units}, dropout {dropout}": Candidate(
        {"units": (units,) * depth, "normalization": "batch", "dropout": dropout},
        epochs=100,
        batch_size=64,
    )
    for depth, units, dropout in ((2, 256, 0.2), (3, 512, 0.3), (2, 1024, 0.5))
}
TABLE_RES_MLPS = {
    f"{units}, {blocks} blocks, dropout {dropout}": Candidate(
        {"units": units, "num_blocks": blocks, "dropout": dropout},
        epochs=100,
        batch_size=64,
    )
    for units, blocks, dropout in ((256, 2, 0.2), (256, 4, 0.3), (512, 4, 0.5))
}
WINE = "wine_quality/white"
TASKS = {
    "mnist, mlp": Task("mnist", mlp, MLPS),
    "mnist, res_mlp": Task("mnist", res_mlp, RES_MLPS),
    "mnist, mlp, augmented": Task("mnist", mlp, DISTORTED),
    "fashion_mnist, mlp": Task("fashion_mnist", mlp, MLPS),
    "fashion_mnist, res_mlp": Task("fashion_mnist", res_mlp, RES_MLPS),
    "fashion_mnist, res_mlp, augmented": Task("fashion_mnist", res_mlp, AUGMENTED),
    "mnist, lstm": Task("mnist", lstm, ROW_LSTMS),
    "imdb_reviews, lstm": Task("imdb_reviews", lstm, REVIEW_LSTMS),
    "tiny_shakespeare, lstm": Task(
        "tiny_shakespeare",
        lstm,
        CHARACTER_LSTMS,
        metric="loss",
        validation=0.1,
        seeds=3,
    ),
    "wine_quality/white, mlp": Task(WINE, mlp, TABLE_MLPS, metric="rmse"),
    "wine_quality/white, res_mlp": Task(WINE, res_mlp, TABLE_RES_MLPS, metric="rmse"),
}


def augmentation(candidate: Candidate) -> keras.Sequential:
    """Returns a model that applies random flips, translations and distortions.

    On JAX, the translations of Keras 3.15 take 0.25 s per batch, six times as long as
    the rest of the step. The rows with augmentation were therefore measured on
    TensorFlow, and all others on JAX.
    """
    layers = []
    if candidate.flip:
        layers.append(keras.layers.RandomFlip("horizontal"))
    if candidate.shift:
        sizes = (candidate.shift, candidate.shift)
        layers.append(keras.layers.RandomTranslation(*sizes, fill_mode="constant"))
    if candidate.distort:
        most = candidate.distort
        layers += [
            keras.layers.RandomRotation(most / (2 * np.pi), fill_mode="constant"),
            keras.layers.RandomZoom((-most, most), (-most, most), fill_mode="constant"),
            keras.layers.RandomShear(most, most, fill_mode="constant"),
        ]
    return keras.Sequential(layers, name="augmentation")


def load(task: Task, candidate: Candidate, seed: int, validation: float):
    return datasets.load(
        task.dataset,
        batch_size=candidate.batch_size,
        validation=validation,
        seed=seed,
        **candidate.load,
    )


def train(task: Task, candidate: Candidate, seed: int, validation: float):
    """Trains one model; returns the model, the data and the duration of `fit`."""
    keras.utils.set_random_seed(seed)
    data = load(task, candidate, seed, validation)
    options = dict(candidate.options)
    if data.vocabulary is None:
        options["preprocessing"] = data.normalization()
    else:
        options["vocabulary_size"] = len(data.vocabulary)
    if candidate.flip or candidate.shift or candidate.distort:
        options["augmentation"] = augmentation(candidate)
    if data.task == "regression":
        options["postprocessing"] = data.denormalization()
    model = task.build(data.input_shape, data.num_outputs, **options)
    model.compile(
        keras.optimizers.AdamW(
            candidate.learning_rate,
            weight_decay=candidate.weight_decay,
            clipnorm=candidate.clipnorm,
        ),
        data.loss,
        metrics=data.metrics,
    )
    return model, data, protocol.fit(model, data.train, candidate.epochs)


def score(task: Task, model, data, split: str) -> dict:
    """Returns the metric on a split.

    For a language model, the metric is also computed over the split as one stream.
    """
    dataset = getattr(data, split)
    scores = model.evaluate(dataset, verbose=0, return_dict=True)
    row = {split: scores[task.metric]}
    if data.task == "language_model":
        stream = LanguageModel(model, data.vocabulary)
        row[f"{split}_streaming"] = stream.nats_per_token(dataset)
        row[f"{split}_windows"] = data.sizes[split]
    return row


def choose(name: str, task: Task) -> None:
    def measure(candidate):
        model, data, seconds = train(task, candidate, 0, validation=0.1)
        return {"seconds": seconds, **score(task, model, data, "validation")}

    protocol.choose("models", name, task.candidates, measure)


def best_candidate(name: str, task: Task) -> str:
    """Returns the name of the candidate with the best validation score."""
    sign = -1 if task.metric in LOWER_IS_BETTER else 1
    return protocol.best_candidate(
        "models", name, task.candidates, lambda row: sign * row["validation"]
    )


def run(name: str, task: Task) -> None:
    def measure(candidate, seed):
        model, data, seconds = train(task, candidate, seed, task.validation)
        row = {"seconds": seconds, "metric": task.metric}
        row["parameters"] = model.count_params()
        for split in ("validation", "test"):
            if getattr(data, split) is not None:
                row |= score(task, model, data, split)
        MODELS.mkdir(parents=True, exist_ok=True)
        model.save(saved_model(name, seed))
        return row

    label = best_candidate(name, task)
    candidate = task.candidates[label]
    protocol.run("models", name, label, candidate, task.seeds, measure)


def ensemble_of(name: str, task: Task) -> None:
    """Evaluates the models of all seeds of the chosen candidate together."""
    label = best_candidate(name, task)
    candidate = task.candidates[label]
    rows = [r for r in protocol.stored("models", name) if r["candidate"] == label]
    together = f"{name}, ensemble of {len(rows)}"
    if protocol.stored("models", together):
        return
    paths = [saved_model(name, row["seed"]) for row in rows]
    model = ensemble.average(paths)
    data = load(task, candidate, seed=0, validation=0)
    model.compile(loss=data.loss, metrics=data.metrics)
    row = {"candidate": label, "metric": task.metric}
    row["parameters"] = model.count_params()
    row["members"] = [row["seed"] for row in rows]
    row |= score(task, model, data, "test")
    print(together, row, flush=True)
    results.save("models", together, [row | results.machine()])


def saved_model(name: str, seed: int) -> Path:
    file = f"{name} {seed}".replace(", ", "_").replace("/", "_").replace(" ", "_")
    return MODELS / f"{file}.keras"


def baselines(name: str) -> None:
    """Measures ridge regression and gradient boosting on a table."""
    data = datasets.load(name)
    (x, y), validation, test = (
        rows_of(part) for part in (data.train, data.validation, data.test)
    )
    candidates = {
        "ridge regression": [
            make_pipeline(StandardScaler(), Ridge(alpha))
            for alpha in np.logspace(-2, 4, 13).round(3).tolist()
        ],
        "gradient boosting": [
            HistGradientBoostingRegressor(
                learning_rate=rate, max_iter=iterations, max_leaf_nodes=leaves
            )
            for rate, iterations, leaves in itertools.product(
                (0.02, 0.05, 0.1), (200, 400, 800), (15, 31, 63)
            )
        ],
    }
    for model, estimators in candidates.items():
        if protocol.stored("models", f"{name}, {model}"):
            continue
        errors = [rmse(e.fit(x, y), *validation) for e in estimators]
        best = estimators[int(np.argmin(errors))]
        both = (np.concatenate(pair) for pair in zip((x, y), validation, strict=True))
        row = {
            "candidate": repr(best).replace("\n", ""),
            "metric": "rmse",
            "validation": min(errors),
            "test": rmse(best.fit(*both), *test),
        }
        print(name, model, row, flush=True)
        results.save("models", f"{name}, {model}", [row | results.machine()])


def rows_of(dataset) -> tuple[np.ndarray, np.ndarray]:
    x, y = (np.concatenate(part) for part in zip(*dataset, strict=True))
    return x.reshape(len(x), -1), y.ravel()


def rmse(estimator, x, y) -> float:
    return float(np.sqrt(np.mean((estimator.predict(x) - y) ** 2)))


def speed(name: str, task: Task, rounds: int = 7) -> None:
    """Measures the time of an epoch relative to the plain MLP.

    The two models take turns.
    """
    plain = f"{task.dataset}, mlp"
    if plain not in TASKS or plain == name:
        return
    seconds, trained = {plain: [], name: []}, {}
    for key in seconds:
        one = TASKS[key]
        settings = replace(one.candidates[best_candidate(key, one)], epochs=1)
        trained[key] = train(one, settings, 0, validation=0)
    for _ in range(rounds):
        for key, (model, data, _) in trained.items():
            start = time.perf_counter()
            model.fit(data.train, shuffle=False, verbose=0)
            seconds[key].append(time.perf_counter() - start)
    ratios = [
        own / other for own, other in zip(*reversed(seconds.values()), strict=True)
    ]
    entry = {"seconds": seconds, "ratio": statistics.median(ratios)}
    print(name, entry, flush=True)
    results.save("models_speed", name, entry | results.machine())


ACTIONS = {"choose": choose, "run": run, "ensemble": ensemble_of, "speed": speed}


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=ACTIONS)
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="default: all")
    options = parser.parse_args()
    for name in options.tasks or TASKS:
        if name not in TASKS:
            parser.error(f"argument TASK: expected one of {list(TASKS)}: {name}")
        ACTIONS[options.action](name, TASKS[name])
    if options.action == "run" and not options.tasks:
        baselines(WINE)


if __name__ == "__main__":
    main()
