"""Tables of the searches, computed from `results/search.json`."""

import statistics

from results import load
from table_tools import markdown, paired_difference

NARROWING = (("coarse to fine", "random"), ("coarse to fine", "TPE"))
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
