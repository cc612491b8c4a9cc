"""Compares MLPs for tables, with and without embeddings, with gradient boosting.

    python benchmarks/tabular.py choose [TASK ...]   # settings, on validation data only
    python benchmarks/tabular.py run [TASK ...]      # test results, fresh seeds
    python benchmarks/tabular.py boosting            # chosen and tested the same way

The targets are the quality of white wines, and the logarithm of the price of diamonds.
`choose` writes the validation errors of all candidates with seed 0 to
`results/tabular_choice.json`. `run` trains the best candidate with fresh seeds on the
train and validation data together, and evaluates each model once on the test set (see
`protocol.py`). Models of a dataset share seeds, so that they can be compared in pairs.
Many wines of the test set are also in the train set, so a second error is that of the
other wines. A generated table, of `towns.py`, has a column of many categories.
"""

import argparse
import functools
import itertools
from dataclasses import dataclass, replace

import keras
import numpy as np
import protocol
import results
import towns
from sklearn.ensemble import HistGradientBoostingRegressor

from zoo import datasets, layers, mlp

WINE, DIAMONDS, TOWNS = "wine_quality/white", "diamonds", "towns (generated)"
TARGETS = {WINE: np.asarray, DIAMONDS: np.log, TOWNS: np.asarray}
SEEDS = {WINE: 5, DIAMONDS: 6, TOWNS: 5}


@dataclass(frozen=True)
class Candidate:
    """Settings of one training run."""

    units: tuple[int, ...]
    dropout: float
    epochs: int
    batch_size: int
    learning_rate: float
    weight_decay: float = 0.02
    preprocessing: str | None = "standard"
    scale_one_hot: bool = False  # normalizes one-hot columns like numbers
    embeddings: str | None = None  # class in `zoo.layers`
    embedding_options: tuple[tuple[str, float], ...] = ()
    ensemble_size: int = 1
    min_categories: int | None = None  # of the columns to embed
    vector_size: int | None = None


SIZES = {
    WINE: {
        f"{depth} x {units}, dropout {dropout}": Candidate(
            (units,) * depth, dropout, epochs=60, batch_size=128, learning_rate=1e-3
        )
        for depth, units, dropout in ((2, 256, 0.1), (3, 512, 0.3), (3, 512, 0.5))
    },
    DIAMONDS: {
        f"{depth} x 256": Candidate(
            (256,) * depth, 0.0, epochs=20, batch_size=512, learning_rate=3e-3
        )
        for depth in (2, 3)
    },
    TOWNS: {
        f"{depth} x 256, dropout {dropout}": Candidate(
            (256,) * depth, dropout, epochs=40, batch_size=128, learning_rate=1e-3
        )
        for depth, dropout in ((2, 0.1), (3, 0.3))
    },
}


def periodic(method: str, scale: float, output_dim: int, num_frequencies: int) -> dict:
    options = {
        "output_dim": output_dim,
        "num_frequencies": num_frequencies,
        "frequency_scale": scale,
    }
    return {
        "preprocessing": method,
        "embeddings": "PeriodicEmbeddings",
        "embedding_options": tuple(options.items()),
    }


def piecewise(num_bins: int) -> dict:
    return {
        "preprocessing": None,
        "embeddings": "PiecewiseLinearEmbeddings",
        "embedding_options": (("output_dim", 8), ("num_bins", num_bins)),
    }


PLAIN = {
    "mlp": {"standard": {}},
    "mlp, quantile normalization": {"quantile": {"preprocessing": "quantile"}},
}
SCALED = {"mlp, one-hot columns normalized": {"scaled": {"scale_one_hot": True}}}
MODELS = {
    WINE: PLAIN
    | {
        "mlp, periodic embeddings": {
            f"{method}, scale {scale}": periodic(method, scale, 16, 24)
            for method, scale in (
                *(("quantile", 0.03), ("quantile", 0.1), ("quantile", 0.3)),
                *(("quantile", 1.0), ("quantile", 3.0)),
                *(("standard", 0.1), ("standard", 0.3)),
            )
        },
        "mlp, piecewise linear embeddings": {
            f"{bins} bins": piecewise(bins) for bins in (16, 48)
        },
    },
    DIAMONDS: PLAIN
    | SCALED
    | {
        "mlp, periodic embeddings": {
            f"quantile, scale {scale}": periodic("quantile", scale, 8, 16)
            for scale in (0.1, 0.3, 1.0)
        },
        "mlp, piecewise linear embeddings": {"48 bins": piecewise(48)},
        "mlp, categorical embeddings": {"vectors": {"min_categories": 5}},
    },
    TOWNS: SCALED
    | {
        "mlp": {"standard": {}},
        "mlp, categorical embeddings": {
            f"vectors of {size or 'default size'}": {
                "min_categories": 10,
                "vector_size": size,
            }
            for size in (None, 4)
        },
    },
}
TASKS = {
    f"{dataset}, {model}": {
        f"{size}, {label}": replace(candidate, **changes)
        for size, candidate in SIZES[dataset].items()
        for label, changes in variants.items()
    }
    for dataset, models in MODELS.items()
    for model, variants in models.items()
}
# The best settings of each model, with more epochs.
for name, label in {
    "mlp": "3 x 256, standard",
    "mlp, one-hot columns normalized": "3 x 256, scaled",
    "mlp, quantile normalization": "3 x 256, quantile",
    "mlp, periodic embeddings": "3 x 256, quantile, scale 1.0",
    "mlp, piecewise linear embeddings": "3 x 256, 48 bins",
    "mlp, categorical embeddings": "3 x 256, vectors",
}.items():
    task = TASKS[f"{DIAMONDS}, {name}"]
    task[f"{label}, 40 epochs"] = replace(task[label], epochs=40)
# Members with embeddings that did well without members. On the validation data of
# diamonds, 4 members had a larger error than the same model without members.
TASKS[f"{WINE}, mlp, periodic embeddings, members"] = {
    f"{members} members of {size}, {method}, scale {scale}": replace(
        SIZES[WINE][size],
        ensemble_size=members,
        **periodic(method, scale, 16, 24),
    )
    for members, size, method, scale in (
        (8, "2 x 256, dropout 0.1", "quantile", 0.3),
        (8, "2 x 256, dropout 0.1", "quantile", 1.0),
        (8, "2 x 256, dropout 0.1", "standard", 0.3),
        (4, "3 x 512, dropout 0.3", "quantile", 0.3),
        (4, "3 x 512, dropout 0.3", "quantile", 1.0),
    )
}


@functools.cache
def load(dataset: str) -> datasets.Data:
    return towns.load() if dataset == TOWNS else datasets.load(dataset)


@functools.cache
def splits(dataset: str) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Returns the inputs and targets of the three splits; "all" is all but test."""
    data = load(dataset)
    rows = {}
    for split in ("train", "validation", "test"):
        x, y = map(np.concatenate, zip(*getattr(data, split), strict=True))
        rows[split] = (x, TARGETS[dataset](y).ravel())
    both = zip(rows["train"], rows["validation"], strict=True)
    rows["all"] = tuple(map(np.concatenate, both))
    return rows


def train(dataset: str, candidate: Candidate, seed: int, split: str):
    """Trains one model; returns the model and the duration of `fit` in seconds."""
    keras.utils.set_random_seed(seed)
    x, y = splits(dataset)[split]
    data = datasets.from_arrays(
        (x, y.astype("float32")),
        validation=None,
        batch_size=candidate.batch_size,
        seed=seed,
    )
    options = {}
    if candidate.preprocessing:
        if not candidate.scale_one_hot:
            data.one_hot_columns = load(dataset).one_hot_columns
        options["preprocessing"] = data.normalization(candidate.preprocessing)
    if candidate.embeddings:
        layer = getattr(layers, candidate.embeddings)
        embeddings = layer(**dict(candidate.embedding_options))
        if not candidate.preprocessing:
            embeddings.adapt(data.train)
        options["numerical_embeddings"] = embeddings
    if candidate.min_categories:
        options["categorical_embeddings"] = load(dataset).categorical_embeddings(
            candidate.min_categories, output_dim=candidate.vector_size
        )
    if candidate.ensemble_size > 1:
        options["ensemble_size"] = candidate.ensemble_size
    model = mlp(
        data.input_shape,
        1,
        units=candidate.units,
        dropout=candidate.dropout,
        postprocessing=data.denormalization(),
        **options,
    )
    optimizer = keras.optimizers.AdamW(
        candidate.learning_rate, weight_decay=candidate.weight_decay
    )
    model.compile(optimizer, data.loss)
    return model, protocol.fit(model, data.train, candidate.epochs)


def predict(model: keras.Model, x: np.ndarray) -> np.ndarray:
    return model.predict(x, batch_size=1000, verbose=0).ravel()


def rmse(predicted: np.ndarray, y: np.ndarray) -> float:
    return float(np.sqrt(np.mean((predicted - y) ** 2)))


def errors_on_test(dataset: str, predicted: np.ndarray) -> dict:
    """Returns the error on all test rows, and without those that were trained on."""
    x, y = splits(dataset)["test"]
    seen = {row.tobytes() for row in splits(dataset)["all"][0]}
    new = np.array([row.tobytes() not in seen for row in x])
    return {
        "test": rmse(predicted, y),
        "test_without_duplicates": rmse(predicted[new], y[new]),
        "duplicates": int(np.sum(~new)),
        "test_rows": len(y),
    }


def choose(name: str) -> None:
    dataset = name.partition(", ")[0]

    def measure(candidate):
        model, seconds = train(dataset, candidate, 0, "train")
        x, y = splits(dataset)["validation"]
        return {"seconds": seconds, "validation": rmse(predict(model, x), y)}

    protocol.choose("tabular", name, TASKS[name], measure)


def run(name: str) -> None:
    dataset = name.partition(", ")[0]

    def measure(candidate, seed):
        model, seconds = train(dataset, candidate, seed, "all")
        predicted = predict(model, splits(dataset)["test"][0])
        row = {"seconds": seconds, "parameters": model.count_params()}
        return row | errors_on_test(dataset, predicted)

    label = protocol.best_candidate(
        "tabular", name, TASKS[name], lambda row: -row["validation"]
    )
    candidate, seeds = TASKS[name][label], SEEDS.get(name, SEEDS[dataset])
    protocol.run("tabular", name, label, candidate, seeds, measure)


def boosting(dataset: str) -> None:
    """Chooses the settings of gradient boosting on validation data, and tests them.

    One run measures all numbers of iterations up to the largest.
    """
    if protocol.stored("tabular", f"{dataset}, gradient boosting"):
        return
    parts, errors = splits(dataset), {}
    x, y = parts["validation"]
    for rate, leaves in itertools.product((0.02, 0.05, 0.1), (15, 31, 63)):
        model = booster(rate, leaves, 800).fit(*parts["train"])
        for iterations, predicted in enumerate(model.staged_predict(x), start=1):
            if iterations in (200, 400, 800):
                errors[rate, leaves, iterations] = rmse(predicted, y)
    best = min(errors, key=errors.__getitem__)
    model = booster(*best).fit(*parts["all"])
    row = {"candidate": repr(model).replace("\n", ""), "validation": errors[best]}
    row |= errors_on_test(dataset, model.predict(parts["test"][0]))
    print(dataset, row, flush=True)
    row |= results.machine()
    results.save("tabular", f"{dataset}, gradient boosting", [row])


def booster(rate: float, leaves: int, iterations: int) -> HistGradientBoostingRegressor:
    return HistGradientBoostingRegressor(
        learning_rate=rate, max_leaf_nodes=leaves, max_iter=iterations, random_state=0
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("action", choices=("choose", "run", "boosting"))
    parser.add_argument("tasks", nargs="*", metavar="TASK", help="default: all")
    options = parser.parse_args()
    if options.action == "boosting":
        for dataset in SIZES:
            boosting(dataset)
        return
    for name in options.tasks or TASKS:
        if name not in TASKS:
            parser.error(f"argument TASK: expected one of {list(TASKS)}: {name}")
        (choose if options.action == "choose" else run)(name)


if __name__ == "__main__":
    main()
