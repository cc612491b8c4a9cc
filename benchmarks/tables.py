"""Recomputes the tables of the README from the raw results.

python benchmarks/tables.py            # prints them
python benchmarks/tables.py --write    # puts them into the README
"""

import argparse
import re
import statistics
from pathlib import Path

from results import load

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


COLUMNS = ("load", "from_arrays")
TABLES = {"train": train_table, "input_pipeline": pipeline_table}


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
