"""Trains a program under `Diagnosis`, and records what `Diagnosis` found."""

import contextlib
import gc
import inspect
import re
import runpy
import time
from pathlib import Path

import keras

from callbacks.diagnosis.run.noting_errors import first_line

from .fixes import with_advice
from .program import Program
from .skill import misreported, skill

WHOLE = Path(__file__).parent / "whole"
SEVERITIES = ("error", "warning", "hint")


def diagnosis_tools():
    """Returns `Diagnosis` and `diagnose`, or exits if the package lacks them."""
    try:
        from callbacks import Diagnosis, diagnose
    except ImportError:
        raise SystemExit(
            "error: `callbacks.Diagnosis` and `callbacks.diagnose` do not exist. Only "
            "--plain and --twins, which train without them, are possible."
        ) from None
    return Diagnosis, diagnose


def train(
    program: Program, *, plain: bool = False, advice: str | None = None
) -> dict | None:
    """Trains a program, and returns its row in the results.

    Args:
        program: The program.
        plain: Whether to train without `Diagnosis`. Defaults to `False`.
        advice: Advice to apply before training. Defaults to `None`.

    Returns:
        The row, or `None` if the advice could not be applied.
    """
    clear()
    training = program.build() if advice is None else with_advice(program, advice)
    if training is None:
        return None
    fit, recipe = training.fit, program.recipe
    start = time.perf_counter()
    if plain:
        history, crashed = run_fit(training.model.fit, fit)
        found = {}
    else:
        history, crashed, found = watched_fit(
            training.model, training.model.fit, fit, seed=recipe.seed
        )
    row = {
        "key": program.key,
        "kind": program.kind,
        "family": recipe.family,
        "dataset": recipe.dataset,
        "half": program.half,
        "causes": program.causes,
        "wrong_head": program.wrong_head,
        "harm": program.harm,
        "optimizer": recipe.optimizer,
        "crashed": crashed,
        "seconds": round(time.perf_counter() - start, 1),
        **found,
    }
    row["skill"] = 0.0 if crashed else skill(training, recipe.head == "linear")
    row["last_to_best"] = last_to_best(history)
    if program.harm == "report":
        row["misreported"] = misreported(program, training, history)
    return row


def clear() -> None:
    """Frees the memory of previous programs."""
    keras.utils.clear_session()
    gc.collect()


def summary_of(error: Exception) -> str:
    """Returns the class and the first line of a message: others may contain paths."""
    return f"{type(error).__name__}: {first_line(error)}"[:300]


def run_fit(fit, arguments: dict) -> tuple[dict, str | None]:
    """Calls `fit`. Returns its history, and the message of an error or `None`."""
    try:
        return fit(**arguments).history, None
    except Exception as error:  # many faults end in an error of the backend
        return {}, summary_of(error)


def watched_fit(model, fit, arguments: dict, seed: int | None = None):
    """Calls `diagnose`, then `fit` with `Diagnosis`.

    Args:
        model: The compiled model.
        fit: Its method `fit`, before any change.
        arguments: Arguments of `fit`.
        seed: Seed that is set before training. Defaults to `None`: no seed is set.

    Returns:
        The history, the message of an error or `None`, and the findings: a dict with
        "before", "during" and "failed", the message of an error in `Diagnosis` itself.
    """
    diagnosis_class, diagnose = diagnosis_tools()
    found: dict = {"before": [], "during": [], "failed": None}
    try:
        data = [arguments.get("x")]
        if arguments.get("y") is not None:
            data.append(arguments["y"])
        found["before"] = described(diagnose(model, *data))
    except Exception as error:  # a defect of `diagnose` is a result, too
        found["failed"] = f"diagnose: {summary_of(error)}"
    if seed is not None:
        keras.utils.set_random_seed(seed)
    diagnosis = diagnosis_class(verbose=0)
    callbacks = [*(arguments.get("callbacks") or ()), diagnosis]
    history, crashed = run_fit(fit, arguments | {"callbacks": callbacks})
    try:
        found["during"] = described(diagnosis.report)
    except Exception as error:
        found["failed"] = f"Diagnosis: {summary_of(error)}"
    return history, crashed, found


def described(report) -> list[dict]:
    """Returns the findings of a report as JSON, most severe first."""
    findings = [
        {
            "cause": finding.cause,
            "severity": finding.severity,
            "where": str(finding.where),
            "evidence": str(finding.evidence),
            "advice": str(next(iter(finding.advice), "")),
        }
        for finding in report.findings
    ]
    return sorted(findings, key=lambda one: SEVERITIES.index(one["severity"]))


def last_to_best(history: dict) -> float | None:
    """Returns the last validation loss divided by the smallest one.

    One half is added to both, because the ratio of two losses near zero says nothing.
    """
    losses = history.get("val_loss")
    if not losses or min(losses) <= 0:
        return None
    return round((losses[-1] + 0.5) / (min(losses) + 0.5), 4)


def whole_programs() -> list[Path]:
    """Returns the scripts in `whole/`."""
    return sorted(WHOLE.glob("*.py"))


def causes_of(script: Path) -> list[str]:
    """Returns the causes that the header of a script states; none if it is healthy."""
    (causes,) = re.findall(r"^Causes: (.+)$", script.read_text(), flags=re.MULTILINE)
    return [] if causes == "none" else causes.split(", ")


def run_whole(script: Path, *, plain: bool = False) -> dict:
    """Runs a script of `whole/`, and returns its row in the results.

    `keras.Model.fit` is replaced while the script runs, and is called without progress
    bars.
    """
    clear()
    keras.utils.set_random_seed(0)
    row = {"key": f"whole/{script.stem}", "causes": causes_of(script), "fits": 0}
    start = time.perf_counter()

    def fit(model, original, arguments):
        row["fits"] += 1
        if plain:
            history, row["crashed"] = run_fit(original, arguments)
        else:
            history, row["crashed"], found = watched_fit(model, original, arguments)
            row.update(found)
        row["last"] = {name: float(values[-1]) for name, values in history.items()}
        if row["crashed"]:
            raise Stop
        return model.history

    with replaced_fit(fit), contextlib.suppress(Stop):
        runpy.run_path(str(script), run_name="__main__")
    return row | {"seconds": round(time.perf_counter() - start, 1)}


class Stop(Exception):
    """Ends a script after an error in `fit`."""


@contextlib.contextmanager
def replaced_fit(function):
    """Replaces `keras.Model.fit`.

    Args:
        function: Function that receives the model, its method `fit`, and all arguments
            of a call by name.
    """
    original = keras.Model.fit
    signature = inspect.signature(original)

    def fit(model, *args, **kwargs):
        arguments = dict(signature.bind(model, *args, **kwargs).arguments)
        del arguments["self"]
        arguments["verbose"] = 0
        return function(model, original.__get__(model), arguments)

    keras.Model.fit = fit
    try:
        yield
    finally:
        del keras.Model.fit  # it was inherited
