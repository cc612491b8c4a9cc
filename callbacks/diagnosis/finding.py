"""A finding: what is wrong, how we know, and what to do."""

from dataclasses import dataclass, field

from .causes import CAUSES

SEVERITIES = ("error", "warning", "hint")
VALIDATION = "argument `validation_data`"


@dataclass(frozen=True)
class Evidence:
    """One observation that supports a finding.

    Args:
        text: Sentence that states the observation, with its figures and units.
        value: Observed value. Defaults to `None`: the observation is not a number.
        limit: Limit that the value violates. Defaults to `None`.
        unit: Unit of the value and the limit. Defaults to `""`: no unit.
        step: Training step of the observation. Defaults to `None`.
        epoch: Epoch of the observation, counted from 0. Defaults to `None`.
    """

    text: str
    value: float | None = None
    limit: float | None = None
    unit: str = ""
    step: int | None = None
    epoch: int | None = None

    def __str__(self) -> str:
        when = [
            f"{name} {number}"
            for name, number in (("step", self.step), ("epoch", self.epoch))
            if number is not None
        ]
        limit = [] if self.limit is None else [f"limit {self.limit:.3g}"]
        notes = ", ".join(limit + when)
        return f"{self.text} ({notes})" if notes else self.text


@dataclass(frozen=True)
class Finding:
    """One fault of a model, its data or its training.

    Args:
        cause: Key of `CAUSES`.
        severity: "error" if the model learns nothing or nothing right, "warning" if it
            learns much worse than it could, or "hint".
        where: Layer, argument of `compile` or part of the data.
        evidence: Tuple of `Evidence`.
        advice: Tuple of fixes, most promising first. The first is code.
        picture: Name of the picture in the report that shows the fault. Defaults to
            `""`: no picture.
    """

    cause: str
    severity: str
    where: str
    evidence: tuple[Evidence, ...]
    advice: tuple[str, ...]
    picture: str = field(default="", compare=False)

    def __post_init__(self):
        if self.cause not in CAUSES:
            raise ValueError(f"Unknown cause {self.cause!r}. Expected: {list(CAUSES)}")
        if self.severity not in SEVERITIES:
            raise ValueError(
                f"Unknown severity {self.severity!r}. Expected: {SEVERITIES}"
            )

    @property
    def summary(self) -> str:
        """Sentence that describes the fault."""
        return CAUSES[self.cause].summary

    @property
    def reference(self) -> str:
        """Publication or documentation page to read."""
        return CAUSES[self.cause].reference

    def __str__(self) -> str:
        lines = [f"{self.severity}: {self.cause} ({self.where}). {self.summary}"]
        lines += [f"  - {one}" for one in self.evidence]
        lines += [f"  > {line}" for one in self.advice for line in one.splitlines()]
        return "\n".join([*lines, f"  see {self.reference}"])


def finding(cause, severity, where, evidence, *advice, picture="") -> Finding:
    """Creates a finding; evidence is a sentence, an `Evidence` or a list of these."""
    items = evidence if isinstance(evidence, list | tuple) else [evidence]
    facts = tuple(Evidence(one) if isinstance(one, str) else one for one in items)
    return Finding(cause, severity, where, facts, advice, picture)
