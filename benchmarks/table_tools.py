"""Markdown tables, and differences that are paired by seed."""

import statistics

from scipy import stats


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
