"""Measures what `Diagnosis` finds in programs that are healthy or have one known fault.

    python benchmarks/diagnosis.py --minutes 60
    python benchmarks/diagnosis.py --twins --minutes 60
    python benchmarks/diagnosis.py --fix
    python benchmarks/diagnosis.py --table

The first command calls `diagnose(model, x, y)` for each program of `programs/`, then
trains the program once with `callbacks=[Diagnosis(verbose=0)]`. It also runs the
scripts in `programs/whole/`.

`--twins` trains the healthy twin of every faulty program without `Diagnosis`. A fault
counts only if it does harm, which `programs/skill.py` defines. `--fix` applies the
first advice where it is a line of code that `programs/fixes.py` can run, and trains the
program again. `--plain` trains the programs without `Diagnosis`.

Every run is a line of `results/diagnosis_{backend}.jsonl`. The runs of twins, of fixed
programs and of `--plain` are in files that end in `_twins`, `_fixes` and `_plain`. Runs
that are already stored are skipped, so an interrupted benchmark continues. The order of
the programs is fixed and looks random, so the runs of any time budget are a sample of
all programs.

The kinds of programs (fault, family of models and dataset; not the seed) are split into
a half on which limits may be chosen and a half on which results are reported.
"""

import argparse
import hashlib
import json
import time
from pathlib import Path

import diagnosis_table
import keras
import programs
from programs.watch import diagnosis_tools, run_whole, train, whole_programs


def results_path(suffix: str = "") -> Path:
    """Returns the file with the raw results of the backend in use."""
    backend = keras.backend.backend()
    return diagnosis_table.results_path(backend, suffix)


def append(path: Path, row: dict) -> None:
    with path.open("a") as file:
        file.write(json.dumps(row) + "\n")


def in_fixed_order(items: list, key) -> list:
    """Returns items in an order that does not depend on their position."""
    return sorted(items, key=lambda one: hashlib.sha256(key(one).encode()).digest())


def selected(options) -> list[programs.Program]:
    """Returns the programs that the options ask for."""
    first, chosen = options.first_seed, []
    seeds = range(first, first + options.seeds)
    if options.only in (None, "faulty"):
        chosen += programs.faulty_programs(seeds)
    if options.only in (None, "healthy"):
        chosen += programs.healthy_programs(seeds)
    if options.half:
        chosen = [one for one in chosen if one.half == options.half]
    if options.kinds:
        chosen = [one for one in chosen if one.kind in options.kinds]
    part, parts = map(int, options.part.split("/"))
    return in_fixed_order(chosen, lambda one: one.key)[part - 1 :: parts]


class Budget:
    """Prints progress, and ends the benchmark when its time is over."""

    def __init__(self, minutes: float, total: int):
        self.start, self.seconds, self.total = time.monotonic(), 60 * minutes, total

    def allows(self, index: int) -> bool:
        spent = time.monotonic() - self.start
        if spent > self.seconds:
            print(f"stopped after {index} of {self.total}", flush=True)
        return spent <= self.seconds

    def report(self, index: int, row: dict) -> None:
        during = row.get("during") or row.get("before") or []
        found = ", ".join(f"{one['severity']} {one['cause']}" for one in during[:3])
        skill = f", skill {row['skill']:.2f}" if "skill" in row else ""
        print(
            f"{index + 1}/{self.total} {row['key']}{skill}, {row['seconds']} s"
            + (f": {found}" if found else "")
            + (f" [{row['crashed'][:80]}]" if row.get("crashed") else ""),
            flush=True,
        )


def run(tasks: list[tuple], path: Path, options) -> None:
    """Runs functions that return rows, except those whose rows are already stored.

    Args:
        tasks: Pairs of a key and a function.
        path: File of the rows.
        options: Parsed options.
    """
    done = set() if options.again else set(diagnosis_table.read(path))
    tasks = [(key, function) for key, function in tasks if key not in done]
    budget = Budget(options.minutes, len(tasks))
    for index, (key, function) in enumerate(tasks):
        if not budget.allows(index):
            return
        row = function() | {"key": key}
        append(path, row)
        budget.report(index, row)


def twin_tasks(options) -> list[tuple]:
    """Returns a task for each healthy twin, which several programs can share."""
    twins = {
        diagnosis_table.twin_key(one.twin): programs.Program("twin", one.twin)
        for one in selected(options)
        if one.twin is not None
    }
    return [(key, lambda t=twin: train(t, plain=True)) for key, twin in twins.items()]


def fix_tasks(options) -> list[tuple]:
    """Returns a task for each faulty program with an alarm."""
    rows, tasks = diagnosis_table.read(results_path()), []
    for one in selected(options):
        first = diagnosis_table.alarms(rows.get(one.key, {}))[:1]
        if one.causes and first:
            advice = first[0]["advice"]
            tasks.append((one.key, lambda o=one, a=advice: train_fixed(o, a)))
    return tasks


def train_fixed(program: programs.Program, advice: str) -> dict:
    """Trains a program after the advice, and returns its row in the results."""
    row = train(program, plain=True, advice=advice)
    return {"advice": advice, "applied": row is not None, **(row or {"seconds": 0})}


def program_tasks(options) -> list[tuple]:
    """Returns a task for each program and each script."""
    tasks, plain = [], options.plain
    for one in selected(options) if options.only != "whole" else ():
        twin = None if one.twin is None else diagnosis_table.twin_key(one.twin)
        tasks.append(
            (one.key, lambda o=one, t=twin: train(o, plain=plain) | {"twin": t})
        )
    if options.only == "whole" or not (options.only or options.kinds or options.half):
        tasks += [
            (f"whole/{script.stem}", lambda s=script: run_whole(s, plain=plain))
            for script in whole_programs()
        ]
    return tasks


def print_tables() -> None:
    backend = keras.backend.backend()
    for name in ("diagnosis", "causes", "faults", "harm", "fixes"):
        print(getattr(diagnosis_table, f"{name}_table")(backend), end="\n\n")
    print(*diagnosis_table.false_alarms(backend), sep="\n")


def main(arguments=None):
    options = parse_arguments(arguments)
    if options.table:
        print_tables()
    elif options.twins:
        run(twin_tasks(options), results_path("_twins"), options)
    elif options.fix:
        run(fix_tasks(options), results_path("_fixes"), options)
    elif options.plain:
        run(program_tasks(options), results_path("_plain"), options)
    else:
        diagnosis_tools()  # exits if they do not exist
        run(program_tasks(options), results_path(), options)


def parse_arguments(arguments=None):
    parser = argparse.ArgumentParser(
        description=__doc__.split("\n")[0],
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    modes = parser.add_mutually_exclusive_group()
    modes.add_argument("--twins", action="store_true", help="train healthy twins")
    modes.add_argument("--fix", action="store_true", help="apply the first advice")
    modes.add_argument("--plain", action="store_true", help="train without Diagnosis")
    modes.add_argument("--table", action="store_true", help="print the tables")
    parser.add_argument("--only", choices=("healthy", "faulty", "whole"))
    parser.add_argument("--half", choices=("chosen", "reported"))
    parser.add_argument("--kinds", nargs="+", metavar="KIND", help="faults or contexts")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds")
    parser.add_argument("--first-seed", type=int, default=0, help="first of the seeds")
    parser.add_argument("--minutes", type=float, default=1e6, help="time budget")
    parser.add_argument("--part", default="1/1", help="1/2 and 2/2 run side by side")
    parser.add_argument("--again", action="store_true", help="repeat stored runs")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    main()
