"""Evaluates the raw results of `diagnosis.py`.

A fault is detected if `Diagnosis` or `diagnose` reports an error or a warning; hints do
not count. The first cause is that of the most severe finding. Among equally severe
findings, those of `Diagnosis` precede those of `diagnose`. A cause is right if it is
one of the causes of the fault. The 95 % intervals are those of Clopper and Pearson over
runs. The interval of a mean over causes is a normal approximation.
"""

import hashlib
import json
import statistics
from collections.abc import Callable, Iterable
from pathlib import Path

from programs.skill import LOST, is_harmful, is_sound, noise_of
from scipy import stats
from table_tools import markdown, paired_difference

FOLDER = Path(__file__).parent / "results"
SEVERITIES = ("error", "warning")
HALVES = ("chosen", "reported")
MEASURES: dict[str, Callable[[dict], bool]] = {
    "detected": lambda row: bool(alarms(row)),
    "right cause first": lambda row: is_right(row, alarms(row)[:1]),
    "right cause": lambda row: is_right(row, alarms(row)),
}


def results_path(backend: str, suffix: str = "") -> Path:
    """Returns the file with the raw results of a backend."""
    return FOLDER / f"diagnosis_{backend}{suffix}.jsonl"


def read(path: Path) -> dict[str, dict]:
    """Returns the last row of each key in a file, or `{}` if there is no file."""
    if not path.exists():
        return {}
    rows = map(json.loads, path.read_text().splitlines())
    return {row["key"]: row for row in rows}


def twin_key(recipe) -> str:
    """Returns the key of a healthy twin, which many faulty programs can share."""
    digest = hashlib.sha256(repr(recipe).encode()).hexdigest()[:12]
    return f"{recipe.family}/{recipe.dataset}/{recipe.seed}/{digest}"


def alarms(row: dict) -> list[dict]:
    """Returns the errors and warnings of a run, most severe first."""
    during = row.get("during") or []
    known = {finding["cause"] for finding in during}
    before = [one for one in row.get("before") or [] if one["cause"] not in known]
    loud = [one for one in during + before if one["severity"] in SEVERITIES]
    return sorted(loud, key=lambda one: SEVERITIES.index(one["severity"]))


def is_right(row: dict, findings: list[dict]) -> bool:
    return any(finding["cause"] in row["causes"] for finding in findings)


def judged(backend: str) -> tuple[list[dict], list[dict], list[dict]]:
    """Returns the harmful runs, the sound healthy runs, and the runs of scripts.

    Harmful runs receive the skill of their twin as "twin_skill".
    """
    rows = read(results_path(backend)).values()
    twins = read(results_path(backend, "_twins"))
    noise = noise_of(list(twins.values()))
    harmful, sound, scripts = [], [], []
    for row in rows:
        if row["key"].startswith("whole/"):
            scripts.append(row)
        elif not row["causes"]:
            sound += [row] if is_sound(row) else []
        else:
            twin = twins.get(row["twin"])
            if is_harmful(row, twin, noise.get((row["family"], row["dataset"]), 0.0)):
                harmful.append(row | {"twin_skill": twin["skill"] if twin else None})
    return harmful, sound, scripts


def rate(rows: Iterable[dict], measure: Callable[[dict], bool]) -> str:
    """Returns the fraction of the rows that have a property, with its interval."""
    values = [measure(row) for row in rows]
    if not values:
        return "-"
    interval = stats.binomtest(sum(values), len(values)).proportion_ci()
    return percent(statistics.mean(values), interval.low, interval.high)


def mean_over_causes(rows: Iterable[dict], measure: Callable[[dict], bool]) -> str:
    """Returns the mean, over the causes, of the fraction of rows with a property."""
    groups = grouped(rows, lambda row: row["causes"][0])
    if not groups:
        return "-"
    rates, variance = [], 0.0
    for group in groups.values():
        hits, count = sum(map(measure, group)), len(group)
        smooth = (hits + 0.5) / (count + 1)  # no group has a variance of 0
        rates.append(hits / count)
        variance += smooth * (1 - smooth) / count
    mean, error = statistics.mean(rates), 1.96 * variance**0.5 / len(rates)
    return percent(mean, max(0.0, mean - error), min(1.0, mean + error))


def percent(value: float, low: float, high: float) -> str:
    return f"{100 * value:.0f} % ({100 * low:.0f} to {100 * high:.0f})"


def grouped(rows: Iterable[dict], key: Callable[[dict], str]) -> dict[str, list[dict]]:
    groups: dict[str, list[dict]] = {}
    for row in rows:
        groups.setdefault(key(row), []).append(row)
    return dict(sorted(groups.items()))


def diagnosis_table(backend: str = "tensorflow") -> str:
    """Returns detection, right causes and false alarms, by half."""
    harmful, sound, scripts = judged(backend)
    table = []

    def add(title, rows, summary=rate):
        if not rows:
            return
        cells = (summary(rows, measure) for measure in MEASURES.values())
        table.append((title, len(rows), *cells, "-"))

    def add_healthy(title, rows):
        false_alarms = rate(rows, MEASURES["detected"])
        table.append((title, len(rows), *["-"] * len(MEASURES), false_alarms))

    for half in HALVES:
        ours = [row for row in harmful if row["half"] == half]
        right_head = [row for row in ours if not row["wrong_head"]]
        add(f"{half}: all faults", ours)
        add(f"{half}: faults with a right head", right_head)
        add(f"{half}: mean over causes", ours, mean_over_causes)
        add_healthy(
            f"{half}: healthy runs", [row for row in sound if row["half"] == half]
        )
    add("scripts with faults", [row for row in scripts if row["causes"]])
    add_healthy("healthy scripts", [row for row in scripts if not row["causes"]])
    return markdown(["programs", "runs", *MEASURES, "false alarms"], table)


def groups_table(key: Callable[[dict], str], title: str, rows: list[dict]) -> str:
    """Returns the results of each group of harmful runs."""
    table = [
        (name, len(group), *(rate(group, measure) for measure in MEASURES.values()))
        for name, group in grouped(rows, key).items()
    ]
    return markdown([title, "runs", *MEASURES], table)


def causes_table(backend: str = "tensorflow") -> str:
    """Returns the results on the reported half by cause."""
    rows = [row for row in judged(backend)[0] if row["half"] == "reported"]
    return groups_table(lambda row: row["causes"][0], "cause", rows)


def faults_table(backend: str = "tensorflow") -> str:
    """Returns the results on both halves by fault."""
    return groups_table(lambda row: row["kind"], "fault", judged(backend)[0])


def harm_table(backend: str = "tensorflow", suffix: str = "") -> str:
    """Returns the skill that each fault costs, compared with the twin of each seed."""
    twins = read(results_path(backend, "_twins"))
    noise, table = noise_of(list(twins.values())), []
    rows = read(results_path(backend, suffix)).values()
    pairs = [row for row in rows if row.get("twin") in twins]
    for name, group in grouped(pairs, lambda row: row["kind"]).items():
        skills = [(twins[row["twin"]]["skill"], row["skill"]) for row in group]
        interval = "-"
        if len(group) > 1:
            _, low, high = paired_difference(*map(list, zip(*skills, strict=True)))
            interval = f"{low:.2f} to {high:.2f}"
        lost = statistics.mean(twin - own for twin, own in skills)
        harmful = sum(
            is_harmful(row, twins[row["twin"]], noise[row["family"], row["dataset"]])
            for row in group
        )
        table.append((name, len(group), harmful, f"{lost:.2f}", interval))
    columns = ["fault", "runs", "harmful runs", "skill lost", "95 % interval"]
    return markdown(columns, table)


def false_alarms(backend: str = "tensorflow") -> list[str]:
    """Returns a line for each alarm in a healthy run of the chosen half."""
    return [
        f"{row['key']}: {one['severity']} {one['cause']} ({one['evidence']})"
        for row in judged(backend)[1]
        if row["half"] == "chosen"
        for one in alarms(row)
    ]


def fixes_table(backend: str = "tensorflow") -> str:
    """Returns how often the first advice helped, by cause that was found.

    It helped if the fixed program has gained at least a tenth of the skill of the
    healthy twin. Advice that could not be applied automatically is not counted.
    """
    harmful = {row["key"]: row for row in judged(backend)[0]}
    fixed = read(results_path(backend, "_fixes"))
    rows = []
    for key in sorted(fixed.keys() & harmful.keys()):
        row = harmful[key]
        if not fixed[key].get("applied", True):
            continue
        twin = row["twin_skill"] or 0.0
        gained = fixed[key]["skill"] - row["skill"]
        rows.append({"cause": alarms(row)[0]["cause"], "helped": gained >= LOST * twin})
    columns = ["cause found", "runs", "first advice helped"]
    groups = {"all": rows} | grouped(rows, lambda row: row["cause"])
    return markdown(
        columns,
        [
            (name, len(group), rate(group, lambda row: row["helped"]))
            for name, group in groups.items()
        ],
    )
