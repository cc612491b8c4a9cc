"""Which learning rate, how many units, how much dropout? A search that narrows itself.

Searches the settings of a network coarse to fine: after each round of trials a range
narrows around the best of them, where there is evidence that it matters. It writes to
`runs/search-digits-mlp/`:

- `results.csv` and `history.csv`, a row for each trial and for each of its epochs;
- `round_1.json` and so on: which ranges narrowed, and why;
- `search.png`: the best so far, and the scores against every hyperparameter;
- `best.keras`: the best model.

    python examples/search.py
    python examples/search.py --dataset fashion_mnist --epochs 5 --trials 30
    python examples/search.py --dataset imdb_reviews --model lstm

Interrupted, the same command goes on where it ended. The test split is read once, for
the best model.
"""

import argparse
import time
from pathlib import Path

import keras_tuner
import matplotlib

from tuning import CoarseToFineSearch, LSTMSpace, MLPSpace, ResMLPSpace
from zoo import datasets
from zoo.utils.files import replacing

matplotlib.use("Agg")
import matplotlib.pyplot as plt

SPACES = {"mlp": MLPSpace, "res_mlp": ResMLPSpace, "lstm": LSTMSpace}
OBJECTIVES = {
    "classification": ("val_accuracy", "max"),
    "multi_label": ("val_binary_accuracy", "max"),
    "regression": ("val_rmse", "min"),
    "language_model": ("val_accuracy", "max"),
}


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    source = parser.add_mutually_exclusive_group()
    source.add_argument("--dataset", default="digits", help="a TFDS dataset")
    source.add_argument("--arrays", help="a .npz file with x_train, y_train, ...")
    parser.add_argument("--model", choices=SPACES, default="mlp")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--trials", type=int, default=12, help="in each round")
    parser.add_argument("--epochs", type=int, default=10)
    parser.add_argument("--minutes", type=float, help="time budget; default: none")
    parser.add_argument(
        "--prune", action="store_true", help="end hopeless trials early"
    )
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--output", default="runs", help="folder of the results")
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse_arguments(arguments)
    if options.arrays:
        name = Path(options.arrays).stem
        data = datasets.from_arrays(
            options.arrays, name=name, test=0.2, seed=options.seed
        )
    else:
        data = datasets.load(options.dataset, seed=options.seed)
    name = f"search-{data.name.replace('/', '-')}-{options.model}"

    search = CoarseToFineSearch(
        SPACES[options.model](data),
        keras_tuner.Objective(*OBJECTIVES[data.task]),
        rounds=options.rounds,
        trials_per_round=options.trials,
        prune=options.prune,
        time_budget=60 * options.minutes if options.minutes else None,
        checkpoints=1,
        seed=options.seed,
        directory=options.output,
        project_name=name,
    )
    start = time.perf_counter()
    search.search(data.train, validation_data=data.validation, epochs=options.epochs)
    print(f"\nsearched for {time.perf_counter() - start:.0f} s\n")

    results = search.results()
    ascending = search.oracle.objective.direction == "min"
    best = results[results.status == "completed"].sort_values(
        "score", ascending=ascending
    )
    print(best.drop(columns=["status", "error", "score_std"]).head(3).T.to_string())
    print(f"\nstatus: {results.status.value_counts().to_dict()}")
    if len(results) >= 10:
        print(f"\n{search.importance().round(3).to_string(index=False)}\n")
    for sentence in search.edge_warnings():
        print(sentence)

    folder = Path(options.output) / name
    figure = search.plot()
    with replacing(folder / "search.png") as path:
        figure.savefig(path, dpi=110)
    plt.close(figure)
    model = search.best_model()
    with replacing(folder / "best.keras") as path:
        model.save(path)
    reached = model.evaluate(data.validation, verbose=0, return_dict=True)
    print({f"validation {key}": round(value, 4) for key, value in reached.items()})
    if data.test is not None:
        reached = model.evaluate(data.test, verbose=0, return_dict=True)
        print({f"test {key}": round(value, 4) for key, value in reached.items()})
    print(f"results in {folder}")


if __name__ == "__main__":
    main()
