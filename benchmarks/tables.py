"""Recomputes the tables of the README and of the documentation.

python benchmarks/tables.py            # prints the tables
python benchmarks/tables.py --write    # writes them to the README and to docs/
"""

import argparse
import functools
import re
import statistics
from pathlib import Path

from certification_table import (
    bracket_table,
    certification_table,
    smoothing_table,
    speed_table,
)
from course_table import course_table
from diagnosis_table import causes_table, diagnosis_table, fixes_table
from headline_table import headline_table
from results import load
from search_table import search_table, trial_table, waiting_table, workers_table
from table_tools import (
    CROCE,
    markdown,
    mean_and_deviation,
    of_the_choice,
    paired_difference,
)
from tabular_table import categorical_table, duplicates_table, tabular_table

from callbacks.diagnosis.causes import vocabulary_table
from zoo.utils.files import replacing

ROOT = Path(__file__).parent.parent


def train_table() -> str:
    """Returns the test accuracies of `examples/train.py` and of any linear model."""
    rows = []
    for dataset, entry in sorted(load("train").items()):
        models = dict.fromkeys(run["model"] for run in entry["runs"])
        for model in models:
            runs = [run for run in entry["runs"] if run["model"] == model]
            accuracy = mean_and_deviation(
                [100 * run["test"] for run in runs], ".2f", " %"
            )
            seconds = statistics.median(run["seconds"] for run in runs)
            rows.append((dataset, model, len(runs), accuracy, f"{seconds:.0f}"))
    columns = ["dataset", "model", "seeds", "test accuracy", "seconds a run"]
    return markdown(columns, rows)


def pipeline_table() -> str:
    """Returns the share of an epoch that the input pipeline takes, by backend."""
    return markdown(
        ["backend", "`load`", "`from_arrays`"],
        [
            (backend, *(f"{100 * entry[key]['ratio']:.1f} %" for key in COLUMNS))
            for backend, entry in sorted(load("input_pipeline").items())
        ],
    )


def models_table() -> str:
    """Returns the results of the builders on test data, next to published results."""
    speed = load("models_speed")
    table = []
    for task, rows in load("models").items():
        rows = of_the_choice(rows)
        dataset, model = task.split(", ", 1)
        ratio = speed.get(task, {}).get("ratio")
        size = f"{rows[0]['parameters']:,}" if "parameters" in rows[0] else "-"
        cost = "-" if ratio is None else f"{ratio:.2f}"
        published = PUBLISHED.get(task, "-")
        table.append((dataset, model, _reached(rows), len(rows), size, cost, published))
    columns = ["task", "model", "reached", "seeds", "parameters"]
    return markdown([*columns, "time of an epoch, MLP = 1", "published"], table)


def paired_table() -> str:
    """Returns the differences between residual and plain MLPs, paired by seed."""
    rows, tasks = [], load("models")
    for dataset in ("mnist", "fashion_mnist"):
        plain, residual = (
            {
                row["seed"]: row["test"]
                for row in of_the_choice(tasks[f"{dataset}, {m}"])
            }
            for m in ("mlp", "res_mlp")
        )
        seeds = sorted(plain.keys() & residual.keys())
        if len(seeds) < 2:
            continue
        mean, low, high = paired_difference(
            *([100 * scores[seed] for seed in seeds] for scores in (residual, plain))
        )
        interval = f"{low:+.2f} to {high:+.2f}"
        rows.append((dataset, f"{mean:+.2f} points", interval, len(seeds)))
    columns = ["dataset", "residual MLP minus MLP", "95 % interval", "seeds"]
    return markdown(columns, rows)


def overhead_table(results: str = "monitor_overhead") -> str:
    """Returns the relative cost of training with monitors, by backend."""
    entries = load(results)
    names = dict.fromkeys(name for entry in entries.values() for name in entry["costs"])
    del names["plain"]
    rows = []
    for backend, entry in sorted(entries.items()):
        costs = (
            f"{entry['costs'][name]:.2f}" if name in entry["costs"] else "-"
            for name in names
        )
        rows.append((backend, *costs, f"{entry['milliseconds_a_plain_step']:.1f}"))
    return markdown(["backend", *names, "milliseconds a plain step"], rows)


def resuming_table() -> str:
    """Returns the cost of saving a training run, by backend; `""` without results."""
    entries = load("resuming")
    columns = ["backend", *RESUMING, "milliseconds of the longest save"]
    rows = [
        (
            backend,
            *(f"{entry['costs'][name]:.3f}" for name in RESUMING),
            f"{1000 * entry['seconds_of_the_longest_save']:.0f}",
        )
        for backend, entry in sorted(entries.items())
        if LARGE not in backend
    ]
    return markdown(columns, rows) if rows else ""


def resuming_large_table() -> str:
    """Returns what saves of a large model cost, by backend; `""` without results."""
    entries = load("resuming")
    columns = ["backend", "GB of a save", "seconds of a save", "seconds of writing"]
    rows = [
        (
            backend.removesuffix(LARGE),
            f"{entry['gigabytes_of_a_save']:.1f}",
            f"{statistics.fmean(entry['seconds_of_saves']):.1f}",
            f"{statistics.fmean(entry['seconds_to_write_as_many_bytes']):.1f}",
            f"{100 * (entry['gigabytes_after'] / entry['gigabytes_before'] - 1):.0f} %",
        )
        for backend, entry in sorted(entries.items())
        if LARGE in backend
    ]
    return markdown([*columns, "more memory"], rows) if rows else ""


def adversarial_table() -> str:
    """Returns the clean and the robust accuracies after adversarial training."""
    table = []
    for task, rows in load("adversarial").items():
        rows = of_the_choice(rows)
        cells = (
            mean_and_deviation([100 * row[part][kind] for row in rows], ".2f", " %")
            for part in ("first_1000", "all")
            for kind in ("clean", "robust")
        )
        warnings = sum(len(row["all"]["warnings"]) for row in rows)
        published = ROBUST.get(task, "-")
        table.append((task, *cells, len(rows), warnings, published))
    columns = ["task", "clean, first 1,000", "robust, first 1,000", "clean, all"]
    columns += ["robust, all", "seeds", "warnings", "published, clean / robust"]
    return markdown(columns, table)


def attack_table() -> str:
    """Returns the robust accuracy and the time of PGD-40 in several libraries."""
    left = load("adversarial_strength")["tensorflow"]["robust_accuracy"]
    seconds = load("adversarial_speed")["tensorflow"]["median"]
    columns = ["PGD-40 of", "robust accuracy left", "seconds for 1,000 examples"]
    return markdown(
        [*columns, "seconds, epsilon 0.01"],
        [
            (
                name,
                f"{100 * accuracy:.2f} %",
                *(f"{seconds[f'{name}, {epsilon}']:.2f}" for epsilon in (0.1, 0.01)),
            )
            for name, accuracy in left.items()
        ],
    )


def adversarial_step_table() -> str:
    """Returns the time of a training step with PGD-7 relative to a plain step."""
    return markdown(
        ["backend", "time, plain step = 1", "operations counted"],
        [
            (backend, f"{entry['ratio']:.2f}", f"{entry['operations']:.2f}")
            for backend, entry in sorted(load("adversarial_step").items())
        ],
    )


def _reached(rows: list[dict]) -> str:
    if "test_streaming" in rows[0]:
        both = [_over_validation_and_test(row) for row in rows]
        values = {
            "validation": [row["validation"] for row in rows],
            "in one stream": [row["validation_streaming"] for row in rows],
            "validation + test": [cold for cold, _ in both],
            "both in one stream": [streamed for _, streamed in both],
        }
        return "nats: " + ", ".join(
            f"{name} {mean_and_deviation(nats, '.3f')}" for name, nats in values.items()
        )
    scores = [row["test"] for row in rows]
    if rows[0]["metric"] == "rmse":
        return f"RMSE {mean_and_deviation(scores, '.3f')}"
    return mean_and_deviation([100 * score for score in scores], ".2f", " %")


def _over_validation_and_test(row: dict) -> tuple[float, float]:
    """Returns the nats per token over both splits, in windows and in one stream.

    All windows have the same length, so the splits are weighted by their number of
    windows.
    """
    sizes = [row["validation_windows"], row["test_windows"]]
    return tuple(
        statistics.fmean([row[f"{split}{kind}"] for split in SPLITS], sizes)
        for kind in ("", "_streaming")
    )


LARGE = ", large"
RESUMING = ("ResumeTraining(every=500)", "plain, again")
COLUMNS = ("load", "from_arrays")
SPLITS = ("validation", "test")
FASHION = "https://github.com/zalandoresearch/fashion-mnist"
PUBLISHED = {
    "mnist, mlp": "98.40 % ([Keras' `mnist_mlp.py`]"
    "(https://github.com/keras-team/keras/blob/2.3.1/examples/mnist_mlp.py))",
    "fashion_mnist, mlp": f"88.33 % ([MLP 256-128-100]({FASHION}))",
    "fashion_mnist, res_mlp": f"89.8 % ([XGBoost]({FASHION}))",
    "imdb_reviews, lstm": "84.28 % ([Keras' 2-layer bidirectional LSTM]"
    "(https://keras.io/examples/nlp/bidirectional_lstm_imdb/)); 88.13 % (fastText, "
    "unigrams)",
    "tiny_shakespeare, lstm": "1.4697, validation + test ([nanoGPT]"
    "(https://github.com/karpathy/nanoGPT), a transformer of 10.7 million parameters)",
}
ROBUST = {
    "mnist, linf 0.1": f"99.1 / 90.0 on the first 1,000 ({CROCE})",
    "fashion_mnist, linf 0.1": f"88.3 / 70.5 on the first 1,000 ({CROCE})",
    "mnist, l2 0.3": f"98.85 / 97.4 on all ({CROCE})",
}
TABLES = {
    "train": train_table,
    "models": models_table,
    "paired": paired_table,
    "tabular": tabular_table,
    "tabular_categorical": categorical_table,
    "tabular_duplicates": duplicates_table,
    "input_pipeline": pipeline_table,
    "monitor_overhead": overhead_table,
    "monitor_overhead_large": functools.partial(
        overhead_table, "monitor_overhead_large"
    ),
    "resuming": resuming_table,
    "resuming_large": resuming_large_table,
    "adversarial": adversarial_table,
    "attack": attack_table,
    "adversarial_step": adversarial_step_table,
    "certification": certification_table,
    "certification_bracket": bracket_table,
    "certification_smoothing": smoothing_table,
    "certification_speed": speed_table,
    "search": search_table,
    "trial": trial_table,
    "workers": workers_table,
    "waiting": waiting_table,
    "diagnosis": diagnosis_table,
    "diagnosis_causes": causes_table,
    "diagnosis_fixes": fixes_table,
}
PAGES = {
    ROOT / "README.md": {"headline": headline_table},
    ROOT / "docs" / "benchmarks.md": TABLES,
    ROOT / "docs" / "course.md": {"course": course_table},
    ROOT / "docs" / "diagnosis.md": {"vocabulary": vocabulary_table},
}


def insert_tables(text: str, tables: dict = TABLES) -> str:
    """Returns a text with new tables between the markers.

    Raises:
        ValueError: If a table with results has no markers in the text, or if the text
            has markers for a table without results.
    """
    for name, make_table in tables.items():
        table = make_table()
        marks = f"(<!-- table: {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(
            marks, lambda m, t=table: f"{m[1]}{t}\n{m[2]}", text, flags=re.DOTALL
        )
        expected = 1 if table else 0
        if count != expected:
            raise ValueError(f"Expected {expected} tables '{name}', received {count}")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        for page, tables in PAGES.items():
            with replacing(page) as partial:
                partial.write_text(insert_tables(page.read_text(), tables))
    else:
        tables = (make_table() for make_table in TABLES.values())
        print("\n\n".join(filter(None, tables)))


if __name__ == "__main__":
    main()
