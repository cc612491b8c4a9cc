"""Evaluates the raw results of `certification.py`.

Each function returns a table, or an empty string if there are no results yet.
"""

from results import load
from table_tools import CROCE, markdown, mean_and_deviation, of_the_choice

# KW: Wong & Kolter (2018), with one hidden layer of 1,024 units. MMR + at: Croce et al.
PUBLISHED = {
    "mnist, linf 0.1": "KW 89.1, with 96.8 clean; MMR + at 85.9, on the first 1,000 "
    f"({CROCE})",
    "fashion_mnist, linf 0.1": f"KW 67.2; MMR + at 65.2 ({CROCE})",
    "mnist, l2 0.3": f"KW 94.8; MMR + at 93.6 ({CROCE})",
}
OTHERS = ("bracket", "smoothing", "speed")  # entries that are not tasks
METHODS = ("alpha-crown", "crown", "ibp")
RADII = (0.0, 0.25, 0.5)


def certification_table() -> str:
    """Returns the certified, clean and attacked accuracies, next to published ones."""
    table = []
    for task, rows in load("certification").items():
        if task in OTHERS:
            continue
        rows = of_the_choice(rows)
        cells = (
            mean_and_deviation([100 * row[kind] for row in rows], ".2f", " %")
            for kind in ("certified", "attacked", "accuracy")
        )
        warnings = sum(row["warnings"] for row in rows)
        published = PUBLISHED.get(task, "-")
        table.append((task, *cells, len(rows), warnings, published))
    columns = ["task", "certified", "under attack", "clean", "seeds", "warnings"]
    return _markdown([*columns, "published, certified"], table)


def bracket_table() -> str:
    """Returns the bounds for the robust accuracy after adversarial training."""
    found: dict[tuple, dict] = {}
    for row in load("certification").get("bracket", []):
        key = row["network"], row["epsilon"]
        bounds = found.setdefault(key, {"attacked": row["attacked"]})
        bounds[row["method"]] = row["certified"]
    table = []
    for key, bounds in found.items():
        cells = (f"{100 * bounds[name]:.1f} %" for name in ("attacked", *METHODS))
        gap = 100 * (bounds["attacked"] - bounds[METHODS[0]])
        table.append((*key, *cells, f"{gap:.1f} points"))
    columns = ["epsilon", "under attack", "alpha-CROWN", "CROWN", "IBP", "gap"]
    return _markdown(["trained with", *columns], table)


def smoothing_table() -> str:
    """Returns the certified accuracies of randomized smoothing, by radius."""
    columns = ["sigma", *(f"certified at {radius:g}" for radius in RADII)]
    table = [
        (
            row["sigma"],
            *(f"{100 * row[f'radius {radius}']:.1f} %" for radius in RADII),
        )
        for row in load("certification").get("smoothing", [])
    ]
    return _markdown(columns, table)


def speed_table() -> str:
    """Returns the time of CROWN, next to auto_LiRPA if it was measured."""
    columns = ["examples", "seconds", "seconds of auto_LiRPA", "largest difference"]
    table = []
    for row in load("certification").get("speed", []):
        peer = f"{row['auto_LiRPA']:.2f}" if "auto_LiRPA" in row else "-"
        difference = row.get("largest_difference")
        difference = "-" if difference is None else f"{difference:.1g}"
        examples = f"{row['examples']:,}"
        table.append((examples, f"{row['kerascope']:.2f}", peer, difference))
    return _markdown(columns, table)


def _markdown(columns: list[str], rows: list[tuple]) -> str:
    return markdown(columns, rows) if rows else ""
