"""A function that compares the robustness of two models on the same examples."""

from collections.abc import Iterator

import numpy as np
from scipy import stats

from ...utils.arguments import invalid_argument
from ...utils.confidence_intervals import paired_interval
from .comparison_report import ComparisonReport
from .robustness_report import RobustnessReport


def compare(first: RobustnessReport, second: RobustnessReport) -> ComparisonReport:
    """Compares two evaluations on the same examples.

    The comparison is paired: only examples on which the results differ contribute to
    the difference, so its confidence interval is narrower than for separate samples.

    Args:
        first: Report of the first model.
        second: Report of the second model, on the same data and with the same norm.

    Returns:
        A `ComparisonReport`, with `rows` and `to_frame()`. `print` shows it as a table.
        There is one row per epsilon that both reports contain, and one for epsilon 0.
        If both reports contain certificates, there are additional rows for the
        certified accuracy. `warnings` says how the attacks differ, such as in their
        steps, because a model that is attacked less looks more robust.

    Raises:
        ValueError: If the reports are not about the same examples and the same norm.

    Example:

    >>> from zoo.adversarial import evaluate_robustness
    >>> model = keras.Sequential([keras.Input((1,)), keras.layers.Dense(2)])
    >>> data = np.linspace(0.0, 1.0, 40)[:, None], np.arange(40) // 20
    >>> reports = []
    >>> for threshold in (0.5, 0.7):
    ...     model.set_weights([np.array([[0.0, 1.0]]), np.array([0.0, -threshold])])
    ...     reports.append(evaluate_robustness(model, data, 0.0, verbose=0))
    >>> print(compare(*reports))
    Accuracies of two models in linf, on the same 40 examples
    measure  epsilon  first second difference   95 % interval p value
     robust      0.0 100.00  80.00     -20.00 -34.76 to -7.08  0.0078
    """
    for name, report in (("first", first), ("second", second)):
        if not isinstance(report, RobustnessReport):
            raise invalid_argument(name, "a RobustnessReport", report)
    if first.norm != second.norm:
        expected = f"a report with the norm of `first`, {first.norm!r}"
        raise invalid_argument("second", expected, f"a report in {second.norm}")
    if first.data != second.data:
        raise invalid_argument(
            "second",
            "a report on the examples of `first`, in the same order",
            f"a report on {len(second.correct):,} other examples",
            "Pass the same `data` to both calls of `evaluate_robustness`.",
        )
    rows = [_row("robust", 0.0, first.correct, second.correct)]
    common = [epsilon for epsilon in first.robust if epsilon in second.robust]
    if not common:
        expected = f"a report with one of the epsilons {list(first.robust)}"
        received = f"a report with the epsilons {list(second.robust)}"
        raise invalid_argument("second", expected, received)
    epsilons = [epsilon for epsilon in common if epsilon > 0]
    rows += [
        _row("robust", one, first.robust[one], second.robust[one]) for one in epsilons
    ]
    if first.certificate is not None and second.certificate is not None:
        pair = first.certificate.certified, second.certificate.certified
        rows += [_row("certified", one, pair[0][one], pair[1][one]) for one in epsilons]
    warnings = list(_differences(first, second))
    return ComparisonReport(tuple(rows), first.norm, len(first.correct), warnings)


def _differences(first: RobustnessReport, second: RobustnessReport) -> Iterator[str]:
    """Yields a warning for each way in which one model was attacked more strongly."""
    pairs = [
        (name, *(report.settings.get(name, "unknown") for report in (first, second)))
        for name in dict.fromkeys([*first.settings, *second.settings])
    ]
    pairs.append(("seed", first.rows[0]["seed"], second.rows[0]["seed"]))
    unlike = [f"{name} is {a} and {b}" for name, a, b in pairs if a != b]
    if unlike:
        yield (
            f"The attacks differ: {', '.join(unlike)}. A model that is attacked less "
            "looks more robust. Pass the same arguments to both calls of "
            "`evaluate_robustness`."
        )
    stages = [{row["stage"] for row in report.rows} for report in (first, second)]
    for which, only in zip(
        ("first", "second"), (stages[0] - stages[1], stages[1] - stages[0]), strict=True
    ):
        if only:
            names = ", ".join(map(repr, sorted(only)))
            yield (
                f"Only the {which} model was attacked in the stages {names}, which "
                "can lower its accuracy."
            )


def _row(measure: str, epsilon: float, first: np.ndarray, second: np.ndarray) -> dict:
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    both, neither = int((first & second).sum()), int((~first & ~second).sum())
    low, high = paired_interval(both, only_first, only_second, neither)
    differing = only_first + only_second
    test = stats.binomtest(only_second, differing) if differing else None
    return {
        "measure": measure,
        "epsilon": epsilon,
        "first": float(first.mean()),
        "second": float(second.mean()),
        "difference": (only_second - only_first) / len(first),
        "low": low,
        "high": high,
        "only_first": only_first,
        "only_second": only_second,
        "p_value": float(test.pvalue) if test else 1.0,
    }
