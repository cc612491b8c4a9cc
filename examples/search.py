"""Which learning rate, how many units, how much dropout? A coarse-to-fine search.

The script searches for the best hyperparameters of a network. After each round of
trials, it narrows the range of a hyperparameter around the best trials if there is
evidence that the hyperparameter matters. The results are in `runs/search-digits-mlp/`:

- `results.csv`: one row per trial;
- `history.csv`: one row per epoch of every trial;
- `round_1.json` and so on: the ranges that were narrowed, and the reasons;
- `search.png`: the best score after each trial, and the scores against every
  hyperparameter;
- `best.keras`: the best model.

    python examples/search.py
    python examples/search.py --dataset fashion_mnist --epochs 5 --trials 30
    python examples/search.py --dataset imdb_reviews --model lstm
    python examples/search.py --workers 2

After an interruption, the same command continues the search. The test split is used
only once, to evaluate the best model.
"""

import math
import time

import keras_tuner
from common import (
    ExampleParser,
    at_least,
    checked,
    exit_on_error,
    load_source,
    save_picture,
)

from tuning import CoarseToFineSearch, LSTMSpace, MLPSpace, ResMLPSpace
from zoo.utils.files import replacing, writable_folder

SPACES = {"mlp": MLPSpace, "res_mlp": ResMLPSpace, "lstm": LSTMSpace}
OBJECTIVES = {
    "classification": ("val_accuracy", "max"),
    "multi_label": ("val_binary_accuracy", "max"),
    "regression": ("val_rmse", "min"),
    "language_model": ("val_accuracy", "max"),
}


def parse_arguments(arguments=None):
    parser = ExampleParser(__doc__)
    parser.add_data_source()
    parser.add_argument(
        "--model", choices=SPACES, default="mlp", help="builder of the models"
    )
    parser.add_argument(
        "--rounds", type=at_least(1), default=3, help="rounds of trials"
    )
    parser.add_argument(
        "--trials", type=at_least(1), default=12, help="trials in each round"
    )
    parser.add_argument(
        "--epochs", type=at_least(1), default=10, help="epochs of each trial"
    )
    parser.add_argument(
        "--minutes",
        type=checked(float, "> 0", lambda value: 0 < value < math.inf),
        help="time budget (default: none)",
    )
    parser.add_argument(
        "--prune", action="store_true", help="stop unpromising trials early"
    )
    parser.add_argument(
        "--workers",
        type=at_least(1),
        default=1,
        help="trials at the same time, each in a process of its own",
    )
    return parser.parse_args(arguments)


def main(arguments=None):
    options = parse_arguments(arguments)
    with exit_on_error():
        output = writable_folder(options.output)
        data = load_source(options, test=0.2)
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
            directory=output,
            project_name=name,
        )
    start = time.perf_counter()
    search.search(
        data.train,
        validation_data=data.validation,
        epochs=options.epochs,
        workers=options.workers,
    )
    print(f"\nsearched for {time.perf_counter() - start:.0f} s\n")

    results = search.results()
    ascending = search.oracle.objective.direction == "min"
    best = results[results.status == "completed"].sort_values(
        "score", ascending=ascending
    )
    print(best.drop(columns=["status", "error", "score_std"]).head(3).T.to_string())
    print(f"\nstatus: {results.status.value_counts().to_dict()}")

    folder = output / name
    save_picture(search.plot(), folder / "search.png")
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
