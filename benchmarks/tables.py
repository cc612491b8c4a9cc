"""Recomputes the tables of the README from the raw results.

python benchmarks/tables.py            # prints them
python benchmarks/tables.py --write    # puts them into the README
"""

import argparse
import re
import statistics
from pathlib import Path

from results import load
from scipy import stats

from zoo.files import replacing

README = Path(__file__).parent.parent / "README.md"


def train_table() -> str:
    """Test accuracy of `examples/train.py` and, where measured, of a linear model."""
    lines = [
        "| dataset | model | seeds | test accuracy | seconds a run |",
        "|---|---|---|---|---|",
    ]
    for dataset, entry in sorted(load("train").items()):
        models = dict.fromkeys(run["model"] for run in entry["runs"])
        for model in models:
            runs = [run for run in entry["runs"] if run["model"] == model]
            scores = [100 * run["test"] for run in runs]
            accuracy = f"{statistics.mean(scores):.2f} %"
            if len(scores) > 1:
                accuracy += f" ± {statistics.stdev(scores):.2f}"
            seconds = statistics.median(run["seconds"] for run in runs)
            lines.append(
                f"| {dataset} | {model} | {len(runs)} | {accuracy} | {seconds:.0f} |"
            )
    return "\n".join(lines)


def pipeline_table() -> str:
    """The part of a training epoch that the pipeline takes, by backend."""
    lines = ["| backend | `load` | `from_arrays` |", "|---|---|---|"]
    for backend, entry in sorted(load("input_pipeline").items()):
        shares = [f"{100 * entry[key]['ratio']:.1f} %" for key in COLUMNS]
        lines.append(f"| {backend} | {' | '.join(shares)} |")
    return "\n".join(lines)


def models_table() -> str:
    """What the builders reach on test data, beside published figures."""
    speed = load("models_speed")
    lines = [
        "| task | model | reached | seeds | parameters | time of an epoch, MLP = 1 "
        "| published |",
        "|---|---|---|---|---|---|---|",
    ]
    for task, rows in load("models").items():
        rows = of_the_choice(rows)
        dataset, model = task.split(", ", 1)
        ratio = speed.get(task, {}).get("ratio")
        cells = [
            *(dataset, model, _reached(rows), str(len(rows))),
            f"{rows[0]['parameters']:,}" if "parameters" in rows[0] else "-",
            "-" if ratio is None else f"{ratio:.2f}",
            PUBLISHED.get(task, "-"),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def paired_table() -> str:
    """The residual MLP minus the plain one, seed by seed, with its 95 % interval."""
    lines = [
        "| dataset | residual MLP minus MLP | 95 % interval | seeds |",
        "|---|---|---|---|",
    ]
    tasks = load("models")
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
        lines.append(
            f"| {dataset} | {mean:+.2f} points | {low:+.2f} to {high:+.2f} "
            f"| {len(seeds)} |"
        )
    return "\n".join(lines)


def overhead_table() -> str:
    """The time of a training with monitors over that of one without, by backend."""
    entries = load("monitor_overhead")
    names = dict.fromkeys(name for entry in entries.values() for name in entry["costs"])
    del names["plain"]
    lines = [
        f"| backend | {' | '.join(names)} | milliseconds a plain step |",
        "|---" * (len(names) + 2) + "|",
    ]
    for backend, entry in sorted(entries.items()):
        costs = " | ".join(
            f"{entry['costs'][name]:.2f}" if name in entry["costs"] else "-"
            for name in names
        )
        lines.append(
            f"| {backend} | {costs} | {entry['milliseconds_a_plain_step']:.1f} |"
        )
    return "\n".join(lines)


def attack_table() -> str:
    """What PGD of 40 steps leaves, and takes, in several libraries."""
    strength = load("adversarial_strength")["tensorflow"]
    speed = load("adversarial_speed")["tensorflow"]
    lines = [
        "| PGD-40 of | robust accuracy left | seconds for a batch of 1,000 |",
        "|---|---|---|",
    ]
    for name, accuracy in strength["robust_accuracy"].items():
        lines.append(
            f"| {name} | {100 * accuracy:.2f} % | {speed['median'][name]:.2f} |"
        )
    return "\n".join(lines)


def adversarial_step_table() -> str:
    """The time of a training step with PGD-7 over that of a plain one."""
    lines = ["| backend | time, plain step = 1 | operations counted |", "|---|---|---|"]
    for backend, entry in sorted(load("adversarial_step").items()):
        cells = f"{entry['ratio']:.2f} | {entry['operations']:.2f}"
        lines.append(f"| {backend} | {cells} |")
    return "\n".join(lines)


def search_table() -> str:
    """Searches beside each other, seed by seed, with 95 % intervals."""
    entries = load("search")
    lines = [
        "| score of the best trial | mean | beside | mean | difference "
        "| 95 % interval | seeds |",
        "|---" * 7 + "|",
    ]
    for title, name, own, other in COMPARISONS:
        if name not in entries:
            continue
        runs = entries[name]["runs"]
        pair = [[run[key] for run in runs] for key in (own, other)]
        first, second = (
            f"{key.split(', ')[-1]} | {statistics.mean(values):.4f}"
            for key, values in zip((own, other), pair, strict=True)
        )
        mean, low, high = paired_difference(*pair)
        lines.append(
            f"| {title}: {first} | {second} | {mean:+.4f} | {low:+.4f} to {high:+.4f} "
            f"| {len(runs)} |"
        )
    return "\n".join(lines)


def trial_table() -> str:
    """What a trial costs whose objective is empty."""
    entry = load("search")["overhead"]
    lines = ["| search | milliseconds a trial |", "|---|---|"]
    for name, seconds in entry["seconds_per_trial"].items():
        lines.append(f"| {name} | {1000 * statistics.median(seconds):.1f} |")
    return "\n".join(lines)


def paired_difference(own: list[float], other: list[float]) -> tuple:
    """Returns the mean of own less other, and its interval of 95 % (Student's t)."""
    differences = [a - b for a, b in zip(own, other, strict=True)]
    mean, error = statistics.mean(differences), stats.sem(differences)
    return mean, *stats.t.interval(0.95, len(differences) - 1, mean, error)


def of_the_choice(rows: list[dict]) -> list[dict]:
    """Returns the rows of the settings that were chosen in the end."""
    return [row for row in rows if row["candidate"] == rows[-1]["candidate"]]


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
            f"{name} {_mean_and_deviation(nats, '.3f')}"
            for name, nats in values.items()
        )
    scores = [row["test"] for row in rows]
    if rows[0]["metric"] == "rmse":
        return f"RMSE {_mean_and_deviation(scores, '.3f')}"
    return _mean_and_deviation([100 * score for score in scores], ".2f", " %")


def _over_validation_and_test(row: dict) -> tuple[float, float]:
    """Nats per token over both texts, which have windows of one length."""
    sizes = [row["validation_windows"], row["test_windows"]]
    return tuple(
        statistics.fmean([row[f"{split}{kind}"] for split in SPLITS], sizes)
        for kind in ("", "_streaming")
    )


def _mean_and_deviation(values: list[float], digits: str, unit: str = "") -> str:
    mean = f"{statistics.mean(values):{digits}}{unit}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {statistics.stdev(values):{digits}}"


NARROWING = ("coarse to fine", "random")
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
COMPARISONS = [
    (title, name, f"{of}{own}", f"{of}{other}")
    for title, name, of, own, other in (
        ("2 of 5 matter, loss", "grid", "", "random", "grid"),
        *(
            (f"{function}, loss", "synthetic", f"{function}, ", *NARROWING)
            for function in ("low_dimension", "cliff", "branin", "noisy_bowl")
        ),
        ("Fashion-MNIST, accuracy", "fashion_mnist", "", *NARROWING),
        ("rate of SGD on digits, accuracy", "scale", "", "log", "linear"),
    )
]
TABLES = {
    "train": train_table,
    "models": models_table,
    "paired": paired_table,
    "input_pipeline": pipeline_table,
    "monitor_overhead": overhead_table,
    "attack": attack_table,
    "adversarial_step": adversarial_step_table,
    "search": search_table,
    "trial": trial_table,
}


def insert_tables(text: str) -> str:
    """Returns the text of a README with every table between its marks made anew."""
    for name, table in TABLES.items():
        marks = f"(<!-- table: {name} -->\n).*?(<!-- end -->)"
        text, count = re.subn(
            marks, lambda m, t=table: f"{m[1]}{t()}\n{m[2]}", text, flags=re.DOTALL
        )
        if count != 1:
            raise ValueError(f"Expected one table '{name}' in the README: {count}")
    return text


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--write", action="store_true")
    if parser.parse_args().write:
        with replacing(README) as partial:
            partial.write_text(insert_tables(README.read_text()))
    else:
        print("\n\n".join(table() for table in TABLES.values()))


if __name__ == "__main__":
    main()
