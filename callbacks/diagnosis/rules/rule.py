"""What a rule needs, and from when on it can judge."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ..facts import Facts
from ..finding import Finding
from ..outcome import outcome_of
from .harm import is_over

# Moments in the order of a training run, and what is known then.
MOMENTS = (
    "model",  # the compiled model, and a sample of the data
    "first_pass",  # the outputs of all layers for the sample
    "failure",  # a loss that is not finite
    "end",  # the whole training run
)
NEEDS: dict[str, Callable[[Facts], bool]] = {
    "known_loss": lambda facts: all(
        one.is_known or not one.weight for one in facts.model.losses
    ),
    "plain_step": lambda facts: not facts.model.has_own_step,
    "graph": lambda facts: facts.model.graph is not None,
    "data": lambda facts: facts.data is not None,
    "start": lambda facts: facts.start is not None,
    "end": lambda facts: facts.end is not None,
    "records": lambda facts: (
        facts.training is not None and len(facts.training.step) > 0
    ),
    "new_model": lambda facts: facts.model.is_new is True,
}
# Where simple models say nothing, a risk and a model that has learned less than half
# together are evidence, although each of them is common in healthy runs.
LITTLE = 0.5


@dataclass(frozen=True)
class Rule:
    """A function from facts to findings, with its conditions.

    Attributes:
        function: Takes `Facts`, and returns or yields findings.
        since: First moment at which the rule can judge, one of `MOMENTS`.
        needs: Keys of `NEEDS` that must hold. Otherwise the rule is silent.
        is_risk: Whether the rule finds something that often does harm, rather than the
            harm. Its warnings about a run are hints until the run has ended, and remain
            hints unless the result shows harm. Its errors, which nearly always do harm,
            become hints only after a run that ended well.
    """

    function: Callable[[Facts], Iterable[Finding]]
    since: str
    needs: tuple[str, ...]
    is_risk: bool

    def __post_init__(self):
        if self.since not in MOMENTS or not set(self.needs) <= set(NEEDS):
            raise ValueError(f"Unknown moment or need: {self.since!r}, {self.needs}")

    def __call__(self, facts: Facts) -> list[Finding]:
        """Returns the findings of the rule."""
        if not all(NEEDS[need](facts) for need in self.needs):
            return []
        findings = list(self.function(facts))
        if not self.is_risk or facts.training is None:
            return findings
        return [
            one if _is_certain(one, facts) else replace(one, severity="hint")
            for one in findings
        ]


def _is_certain(risk: Finding, facts: Facts) -> bool:
    """Returns whether a risk may keep its severity, given what a run has shown so far.

    The run of a warning must be known to have ended badly.
    """
    if not is_over(facts):
        return risk.severity == "error"
    outcome = outcome_of(facts)
    if outcome.is_good or risk.severity == "error":
        return not outcome.is_good
    if outcome.is_harmed:
        return True
    if outcome.last is not None and not math.isfinite(outcome.last):
        return True
    explained = outcome.explained
    return not outcome.knows_possible and explained is not None and explained < LITTLE


def rule(since: str, *needs: str, is_risk: bool = False) -> Callable[..., Rule]:
    """Turns a function from facts to findings into a `Rule`."""

    def decorate(function: Callable[[Facts], Iterable[Finding]]) -> Rule:
        return Rule(function, since, needs, is_risk)

    return decorate
