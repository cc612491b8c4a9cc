"""The figures of the README: one per benchmark, with what it is compared with."""

import statistics

from diagnosis_table import MEASURES, judged
from results import load
from table_tools import (
    CROCE,
    markdown,
    mean_and_deviation,
    of_the_choice,
    paired_difference,
)

PAGE = "docs/benchmarks.md"


def headline_table() -> str:
    """Returns the most important figures, each with a link to its table."""
    rows = [_diagnosis(), _monitors(), _robustness(), _attack(), _search()]
    return markdown(["what was measured", "kerascope", "compared with"], rows)


def _diagnosis() -> tuple:
    harmful, sound, _ = judged("tensorflow")
    harmful, sound = (
        [row for row in rows if row["half"] == "reported"] for rows in (harmful, sound)
    )
    first = statistics.mean(map(MEASURES["right cause first"], harmful))
    alarms = statistics.mean(map(MEASURES["detected"], sound))
    return (
        f"[training runs with a fault]({PAGE}#diagnosis) whose cause is named first",
        f"{100 * first:.0f} % of {len(harmful)}",
        f"{100 * alarms:.0f} % alarms in {len(sound)} healthy runs",
    )


def _monitors() -> tuple:
    costs = load("monitor_overhead")["tensorflow"]["costs"]
    return (
        f"[time of `fit`]({PAGE}#monitors) with all monitors, plain `fit` = 1",
        f"{costs['all, defaults']:.2f}",
        f"{costs['plain, again']:.2f}: plain `fit`, again",
    )


def _robustness() -> tuple:
    rows = of_the_choice(load("adversarial")["mnist, linf 0.1"])
    robust = [100 * row["first_1000"]["robust"] for row in rows]
    return (
        f"[robust accuracy]({PAGE}#robustness) on MNIST, linf 0.1, first 1,000 images",
        mean_and_deviation(robust, ".1f", " %"),
        f"90.0 %: {CROCE}",
    )


def _attack() -> tuple:
    seconds = load("adversarial_speed")["tensorflow"]["median"]
    peers = sorted(
        (seconds[key], key.removesuffix(", 0.1"))
        for key in seconds
        if key.endswith(", 0.1") and not key.startswith("kerascope")
    )
    return (
        f"[seconds of PGD-40]({PAGE}#robustness) for 1,000 images of MNIST",
        f"{seconds['kerascope, 0.1']:.2f}",
        ", ".join(f"{time:.2f}: {name}" for time, name in peers),
    )


def _search() -> tuple:
    runs = load("search")["fashion_mnist"]["runs"]
    own, other = (
        [100 * run[key] for run in runs] for key in ("coarse to fine", "random")
    )
    mean, low, high = paired_difference(own, other)
    return (
        f"[accuracy after a search]({PAGE}#search) of 60 trials, coarse to fine",
        f"{statistics.mean(own):.1f} %",
        f"{statistics.mean(other):.1f} %: random; difference {mean:+.1f} points "
        f"({low:+.1f} to {high:+.1f})",
    )
