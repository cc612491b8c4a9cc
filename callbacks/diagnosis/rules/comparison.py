"""Comparison of the end of a run with simple models."""

from ..finding import Evidence
from ..outcome import Outcome


def is_behind(outcome: Outcome) -> bool:
    """Returns whether a simple model is known to do better."""
    return outcome.is_poor or outcome.could_be_better


def ended_well(outcome: Outcome) -> bool:
    """Returns whether no simple model does better; `False` if this is unknown."""
    is_known = outcome.linear is not None or outcome.possible is not None
    return outcome.is_good or (is_known and not is_behind(outcome))


def comparison(outcome: Outcome) -> list[Evidence]:
    """Returns how much better a simple model is, if it is better."""
    if outcome.is_poor:
        text = (
            f"The loss ends at {outcome.last:.3g}, while a linear model reaches "
            f"{outcome.linear:.3g} on held-out examples."
        )
        return [Evidence(text, outcome.last, outcome.linear)]
    if outcome.could_be_better:
        text = (
            f"The model removes {outcome.score:.0%} of the loss of a constant predictor, "
            f"while a simple model removes {outcome.possible:.0%} on held-out examples."
        )
        return [Evidence(text, outcome.score, outcome.possible)]
    return []
