"""The tables of `benchmarks/tabular.py`."""

from results import load
from table_tools import markdown, mean_and_deviation, of_the_choice, paired_difference


def tabular_table() -> str:
    """Returns the errors on tables, with the differences from the plain MLP."""
    rows, tasks = [], load("tabular")
    for task, measured in sorted(tasks.items()):
        measured = of_the_choice(measured)
        dataset, _, model = task.partition(", ")
        errors = (
            mean_and_deviation([row[key] for row in measured], ".4f")
            for key in ("test", "test_without_duplicates")
        )
        plain = of_the_choice(tasks[f"{dataset}, mlp"])
        rows.append((dataset, model, *errors, len(measured), _change(measured, plain)))
    columns = ["dataset", "model", "RMSE", "without duplicates", "seeds"]
    return markdown([*columns, "change of RMSE from the MLP, 95 % interval"], rows)


def categorical_table() -> str:
    """Returns the differences of categorical embeddings from one-hot columns."""
    tasks, rows = load("tabular"), []
    for dataset in ("diamonds", "towns (generated)"):
        embedded = of_the_choice(tasks[f"{dataset}, mlp, categorical embeddings"])
        for one_hot in ("mlp, one-hot columns normalized", "mlp"):
            others = of_the_choice(tasks[f"{dataset}, {one_hot}"])
            rows.append((dataset, one_hot, _change(embedded, others)))
    change = "change of RMSE by embeddings, 95 % interval"
    return markdown(["dataset", "compared with", change], rows)


def duplicates_table() -> str:
    """Returns how many test rows have the same inputs as a row of the train set."""
    first = {}
    for task, rows in sorted(load("tabular").items()):
        first.setdefault(task.partition(", ")[0], rows[0])
    return markdown(
        ["dataset", "test rows", "with the inputs of a training row"],
        [
            (
                dataset,
                f"{row['test_rows']:,}",
                f"{row['duplicates']:,} ({row['duplicates'] / row['test_rows']:.0%})",
            )
            for dataset, row in first.items()
        ],
    )


def _change(measured: list[dict], plain: list[dict]) -> str:
    """Returns the difference of the errors on all test rows, paired by seed."""
    scores, others = (
        {row["seed"]: row["test"] for row in rows if "seed" in row}
        for rows in (measured, plain)
    )
    seeds = sorted(scores.keys() & others.keys())
    if measured == plain or len(seeds) < 2:
        return "-"
    mean, low, high = paired_difference(
        [scores[seed] for seed in seeds], [others[seed] for seed in seeds]
    )
    return f"{mean:+.4f} ({low:+.4f} to {high:+.4f})"
