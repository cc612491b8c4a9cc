"""What a search says about itself in words."""

import contextlib
import html
from collections import Counter
from collections.abc import Iterator

from ..trials.search_trial import COMPLETED, FAILED

SHOWN = 10  # rows of a table in a notebook, and hyperparameters of a line
FEWEST_FOR_IMPORTANCE = 10  # finished trials; two in each fold of `importance()`


def sentence_of(search) -> str:
    """Returns how many trials are finished, and the best of them."""
    oracle, finished = search.oracle, search.oracle.book.finished()
    text = (
        f"{type(search).__name__}: {len(finished)} of {oracle.max_trials} trials are "
        "finished"
    )
    counts = Counter(trial.status for trial in finished)
    if set(counts) - {COMPLETED}:
        listed = (f"{count} {status.lower()}" for status, count in counts.items())
        text += f" ({', '.join(listed)})"
    best = oracle.get_best_trials()
    if not best:
        return f"{text}."
    values = best[0].values_text()
    return (
        f"{text}. The best {oracle.objective.name} is {best[0].score:.4g} (trial "
        f"{best[0].number}{values and ': '}{values})."
    )


def html_of(search) -> str:
    """Returns the sentence, and a table of the best trials, for notebooks."""
    text = f"<p>{html.escape(sentence_of(search))}</p>"
    ascending = search.oracle.objective.direction != "max"
    table = search.results().sort_values("score", ascending=ascending).head(SHOWN)
    return text + (table.to_html(index=False, na_rep="") if len(table) else "")


def nothing_completed(search) -> str:
    """Returns why there are no completed trials."""
    finished = search.oracle.book.finished()
    if not finished:
        return "No trial has been run. Expected a call to `search.search(...)` first."
    return (
        f"None of the {len(finished)} trials is completed; the first is "
        f"{finished[0].status.lower()}: {finished[0].error}"
    )


def conclusions_of(search) -> list[str]:
    """Returns the importance of the hyperparameters and the edge warnings as lines.

    If there are too few trials to estimate the importance, a line says so.
    """
    importance = too_few_for_importance(search)
    if not importance:
        rows = search.importance().head(SHOWN).itertuples(index=False)
        importance = ", ".join(_importance_text(*row) for row in rows)
    return [f"importance: {importance}", *search.edge_warnings()]


def _importance_text(name: str, value: float, std: float) -> str:
    """Returns the importance of a hyperparameter, if it differs clearly from zero.

    The mean over five folds exceeds their standard deviation if t > sqrt(5) = 2.24 in
    a t-test, whose one-sided p value is then 0.045.
    """
    if value > std:
        return f"{name} {value:.2f} (std {std:.2f})"
    return f"{name} cannot tell ({value:.2f}, std {std:.2f})"


def too_few_for_importance(search) -> str:
    """Returns why importance cannot be estimated, or `""` if it can be."""
    number = search.oracle.book.num_finished
    if number >= FEWEST_FOR_IMPORTANCE:
        return ""
    return (
        f"at least {FEWEST_FOR_IMPORTANCE} finished trials are needed, and there "
        f"{'is' if number == 1 else 'are'} {number}; to continue the search, run the "
        "program again with a larger `max_trials`, `rounds` or `time_budget`"
    )


@contextlib.contextmanager
def first_error_of(search) -> Iterator[None]:
    """Raises the first error at the end of a search in which every trial failed.

    Raises:
        RuntimeError: If all trials failed.
    """
    try:
        yield
    except RuntimeError:  # too many trials in a row
        _check_any_succeeded(search)
        raise
    _check_any_succeeded(search)


def _check_any_succeeded(search) -> None:
    finished = search.oracle.book.finished()
    if finished and all(trial.status == FAILED for trial in finished):
        first = finished[0]
        raise RuntimeError(
            f"All trials failed ({len(finished)}). The first error was:\n"
            f"{first.error}\nTo see where, print "
            f"`search.oracle.trials[{first.trial_id!r}].message`. Fix the cause. Then "
            "call `search` again to continue with the next trial, or start again "
            "with `overwrite=True`."
        ) from None
