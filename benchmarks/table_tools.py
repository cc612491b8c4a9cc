"""Markdown tables, and means and paired differences over seeds."""

import statistics

from scipy import stats

CROCE = "[Croce et al. 2019](https://arxiv.org/abs/1810.07481)"


def markdown(columns: list[str], rows: list[tuple]) -> str:
    """Returns a table in Markdown."""
    head, *body = (
        f"| {' | '.join(str(cell) for cell in cells)} |" for cells in (columns, *rows)
    )
    return "\n".join([head, "|" + "---|" * len(columns), *body])


def paired_difference(own: list[float], other: list[float]) -> tuple:
    """Returns the mean of `own - other`, and its 95 % interval (Student's t)."""
    differences = [a - b for a, b in zip(own, other, strict=True)]
    mean, error = statistics.mean(differences), stats.sem(differences)
    return mean, *stats.t.interval(0.95, len(differences) - 1, mean, error)


def of_the_choice(rows: list[dict]) -> list[dict]:
    """Returns the rows of the candidate that was chosen last."""
    return [row for row in rows if row["candidate"] == rows[-1]["candidate"]]


def mean_and_deviation(values: list[float], digits: str, unit: str = "") -> str:
    """Returns the mean of some values and, if there are several, their deviation."""
    mean = f"{statistics.mean(values):{digits}}{unit}"
    if len(values) == 1:
        return mean
    return f"{mean} ± {statistics.stdev(values):{digits}}"
