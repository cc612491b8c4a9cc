"""What a rule needs, and from when on it can judge."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace

from ..facts import Facts
from ..finding import Finding
from ..outcome import outcome_of

# Moments in the order of a training run, and what is known then.
MOMENTS = (
    "model",  # the compiled model, and a sample of the data
    "first_pass",  # the outputs of all layers for the sample
    "failure",  # a loss that is not finite
    "end",  # the whole training run
)
NEEDS: dict[str, Callable[[Facts], bool]] = {
    "known_loss": lambda facts: all(one.name is not None for one in facts.model.losses),
    "plain_step": lambda facts: not facts.model.has_own_step,
    "graph": lambda facts: facts.model.graph is not None,
    "data": lambda facts: facts.data is not None,
}


@dataclass(frozen=True)
class Rule:
    """A function from facts to findings, with its conditions.

    Attributes:
        function: Takes `Facts`, and returns or yields findings.
        since: First moment at which the rule can judge, one of `MOMENTS`.
        needs: Keys of `NEEDS` that must hold. Otherwise the rule is silent.
        is_risk: Whether the rule finds something that often does harm, rather than the
            harm. After a run that ended well its findings are hints.
    """

    function: Callable[[Facts], Iterable[Finding]]
    since: str
    needs: tuple[str, ...]
    is_risk: bool

    def __call__(self, facts: Facts) -> list[Finding]:
        """Returns the findings of the rule."""
        if not all(NEEDS[need](facts) for need in self.needs):
            return []
        findings = list(self.function(facts))
        training = facts.training
        is_over = training is not None and training.is_over
        if self.is_risk and is_over and outcome_of(facts).is_good:
            return [replace(one, severity="hint") for one in findings]
        return findings


def rule(since: str, *needs: str, is_risk: bool = False) -> Callable[..., Rule]:
    """Turns a function from facts to findings into a `Rule`."""

    def decorate(function: Callable[[Facts], Iterable[Finding]]) -> Rule:
        return Rule(function, since, needs, is_risk)

    return decorate
