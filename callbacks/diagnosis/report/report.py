"""The report of a diagnosis."""

import os
from dataclasses import dataclass, field

from zoo.utils.arguments import invalid_argument

from ...monitors.summaries import number_of
from ..facts import Facts
from ..finding import Finding
from ..outcome import MARGIN, outcome_of

VALIDATION = "validation data"  # its absence leaves nothing unjudged


@dataclass(frozen=True, eq=False)
class DiagnosisReport:
    """Findings about a model, its data and its training.

    `print` shows the report as text, and a notebook as HTML.

    Args:
        findings: Tuple of `Finding`, most severe first.
        looked_at: Descriptions of everything that was looked at.
        not_seen: Descriptions of everything that could not be seen.
        facts: Facts that the findings are based on.
    """

    findings: tuple[Finding, ...]
    looked_at: tuple[str, ...] = ()
    not_seen: tuple[str, ...] = ()
    facts: Facts | None = field(default=None, repr=False)

    @property
    def is_healthy(self) -> bool:
        """Whether there is no finding other than hints."""
        return all(one.severity == "hint" for one in self.findings)

    @property
    def verdict(self) -> str:
        """The result in one sentence.

        A model is healthy only if everything about it could be judged.
        """
        if not self.looked_at:
            return "unknown: nothing was looked at."
        if self.is_healthy and self._has_learned_little:
            return (
                f"nothing found in {_listed(self.looked_at)}, but the model is hardly "
                "better than a constant predictor on the training data: perhaps the "
                "labels cannot be predicted, or there were too few steps."
            )
        if self.is_healthy and self._is_complete:
            return f"healthy: nothing wrong in {_listed(self.looked_at)}."
        if self.is_healthy:
            return (
                f"nothing found in {_listed(self.looked_at)}; "
                f"not seen: {_listed(self.not_seen)}."
            )
        first = self.findings[0]
        number = sum(one.severity != "hint" for one in self.findings)
        more = f" ({number} findings)" if number > 1 else ""
        return f"{first.severity}: {first.summary.rstrip('.')}, {first.where}{more}."

    @property
    def _has_learned_little(self) -> bool:
        """Whether a run has ended with less than a tenth of what can be explained.

        A run that does as well as simple models has learned what there is.
        """
        if self.facts is None or self.facts.training is None:
            return False
        outcome = outcome_of(self.facts)
        if not self.facts.training.is_over or outcome.explained is None:
            return False
        return outcome.explained < MARGIN and not outcome.ended_well

    @property
    def _is_complete(self) -> bool:
        return all(one == VALIDATION for one in self.not_seen)

    def __repr__(self) -> str:
        return f"DiagnosisReport: {self.verdict}"

    def __str__(self) -> str:
        lines = [self.verdict]
        is_said = bool(self.looked_at) and self.is_healthy and not self._is_complete
        if self.not_seen and not is_said:
            lines.append(f"Not seen: {_listed(self.not_seen)}.")
        return "\n".join([*lines, *(f"\n{one}" for one in self.findings)])

    def to_frame(self):
        """Returns a `pandas.DataFrame` with one row per finding.

        The columns are `cause`, `severity`, `where`, `evidence`, `advice` and
        `reference`; several sentences of evidence or advice are separated by newlines.
        """
        import pandas as pd

        columns = ["cause", "severity", "where", "evidence", "advice", "reference"]
        rows = [
            [
                one.cause,
                one.severity,
                one.where,
                "\n".join(map(str, one.evidence)),
                "\n".join(one.advice),
                one.reference,
            ]
            for one in self.findings
        ]
        return pd.DataFrame(rows, columns=columns)

    def plot(self, figure=None):
        """Plots what was recorded: loss, update ratio, gradients and activations.

        Args:
            figure: Matplotlib figure to draw in. Defaults to `None`, which creates a
                new figure.

        Returns:
            The Matplotlib figure.
        """
        from .pictures import draw_overview

        return draw_overview(self.facts, self.findings, figure)

    def to_html(self, path: str | os.PathLike) -> None:
        """Writes the report as a single HTML page with embedded pictures.

        Args:
            path: File to write, in an existing folder.

        Raises:
            ValueError: If `path` is not a path.
            FileNotFoundError: If the folder does not exist.
        """
        from .html_page import write_page

        if not isinstance(path, str | os.PathLike):
            raise invalid_argument("path", "the path of a file", path)
        write_page(self, path)

    def _repr_html_(self) -> str:
        from .html_page import body_of

        return body_of(self)


def report_of(
    facts: Facts, findings: tuple[Finding, ...], failed: tuple[str, ...] = ()
) -> DiagnosisReport:
    """Creates a report that says what was looked at, and what could not be seen.

    Args:
        facts: Facts that the findings are based on.
        findings: Ranked findings.
        failed: Descriptions of parts whose diagnosis failed. Defaults to `()`.
    """
    looked_at, not_seen = [], [*facts.model.unknown, *failed]
    if facts.model.graph is not None:
        looked_at.append(f"the {len(facts.model.graph.nodes)} layers of the model")
    else:
        looked_at.append(f"the {len(facts.model.layers)} layers with weights")
    if facts.data is not None:
        looked_at.append(f"{facts.data.examples:,} examples of the data")
    else:
        not_seen.append("the data")
    if facts.start is not None:
        looked_at.append("a first pass")
        if facts.start.error:
            not_seen.append(f"the loss of a first pass ({facts.start.error})")
    training = facts.training
    if training is not None:
        looked_at.append(
            f"{number_of(training.num_epochs, 'epoch')} with "
            f"{number_of(len(training.step), 'recorded update')}"
        )
        if "val_loss" not in training.logs:
            not_seen.append(VALIDATION)
    return DiagnosisReport(findings, tuple(looked_at), tuple(not_seen), facts)


def _listed(parts) -> str:
    *most, last = parts
    return f"{', '.join(most)} and {last}" if most else last
