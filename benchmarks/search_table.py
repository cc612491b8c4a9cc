"""Tables of the searches, computed from `results/search.json`."""

import statistics

from results import load
from table_tools import markdown, paired_difference

NARROWING = (
    ("coarse to fine", "random"),
    ("coarse to fine", "TPE"),
    ("with candidates", "TPE"),
)
COMPARISONS = [
    (title, name, f"{of}{own}", f"{of}{other}")
    for title, name, of, own, other in (
        ("2 of 5 matter, loss", "grid", "", "random", "grid"),
        *(
            (f"{function}, loss", "synthetic", f"{function}, ", *pair)
            for function in ("low_dimension", "cliff", "branin", "noisy_bowl")
            for pair in NARROWING
        ),
        *(
            ("Fashion-MNIST, accuracy", "fashion_mnist", "", *pair)
            for pair in NARROWING
        ),
        ("rate of SGD on digits, accuracy", "scale", "", "log", "linear"),
    )
]


def search_table() -> str:
    """Returns the differences between two searches, paired by seed."""
    entries, rows = load("search"), []
    for title, name, own, other in COMPARISONS:
        if name not in entries:
            continue
        runs = [run for run in entries[name]["runs"] if {own, other} <= run.keys()]
        if len(runs) < 2:
            continue
        pair = [[run[key] for run in runs] for key in (own, other)]
        (label, score), (beside, score_beside) = (
            (key.split(", ")[-1], f"{statistics.mean(values):.4f}")
            for key, values in zip((own, other), pair, strict=True)
        )
        mean, low, high = paired_difference(*pair)
        interval = f"{low:+.4f} to {high:+.4f}"
        scores = (f"{title}: {label}", score, beside, score_beside)
        rows.append((*scores, f"{mean:+.4f}", interval, len(runs)))
    columns = ["score of the best trial", "mean", "beside", "mean"]
    return markdown([*columns, "difference", "95 % interval", "seeds"], rows)


def workers_table() -> str:
    """Returns the throughput of two workers, and the cost of a trial.

    Without results, the table is `""`.
    """
    entries = load("search")
    if not {"workers", "workers_costs"} <= entries.keys():
        return ""
    runs = entries["workers"]["seconds"]
    rows = [
        (f"throughput, relative to {name}", _ratio(runs, name, "2 workers"))
        for name in runs[0]
        if name != "2 workers"
    ]
    rows += [
        (name, f"{value:.{0 if value > 10 else 1}f}")
        for name, value in entries["workers_costs"].items()
        if name != "machine"
    ]
    return markdown(["two workers", ""], rows + _killed_rows(entries))


def _killed_rows(entries: dict) -> list[tuple]:
    if "workers_killed" not in entries:
        return []
    killed = entries["workers_killed"]
    counts = f"{killed['completed']} of {killed['trials']}"
    same = "the same" if killed["same tables"] else "not the same"
    return [
        (f"trials completed, with {killed['kills']} kills of a worker", counts),
        ("values and scores, with and without kills", same),
    ]


def _ratio(runs: list[dict], name: str, other: str) -> str:
    ratios = [run[name] / run[other] for run in runs]
    median, low, high = statistics.median(ratios), min(ratios), max(ratios)
    if len(runs) == 1:
        return f"{median:.2f} (1 round)"
    return f"{median:.2f} ({low:.2f} to {high:.2f} in {len(runs)} rounds)"


def waiting_table() -> str:
    """Returns the share of the time for which workers are busy."""
    entry = load("search")["waiting"]
    rows = [
        (number, *(f"{100 * shares[kind]:.0f} %" for kind in ("rounds", "no rounds")))
        for number, shares in sorted(
            entry["busy"].items(), key=lambda pair: int(pair[0])
        )
    ]
    rounds = f"busy, {entry['rounds']} rounds of {entry['trials_per_round']}"
    return markdown(["workers", rounds, "without rounds"], rows)


def trial_table() -> str:
    """Returns the time per trial with an empty objective, by number of trials."""
    results = load("search")
    entries = [results[key] for key in ("overhead", "overhead_5000") if key in results]
    columns = ["search", "milliseconds a trial"]
    columns += [f"in a search of {entry['trials']:,}" for entry in entries[1:]]
    rows = []
    for name in entries[0]["seconds_per_trial"]:
        times = [entry["seconds_per_trial"].get(name) for entry in entries]
        cells = (f"{1000 * statistics.median(t):.1f}" if t else "-" for t in times)
        rows.append((name, *cells))
    return markdown(columns, rows)
