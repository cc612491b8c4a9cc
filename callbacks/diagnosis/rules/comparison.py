"""Comparison of the end of a run with simple models."""

from ..finding import Evidence
from ..outcome import Outcome

# Of the share of a straight line in the progress. In the last third, a straight line
# makes 33 %, an exponential that ran for two time constants 21 %, for three 9 %.
STRAIGHT = 0.75


def ended_well(outcome: Outcome) -> bool:
    """Returns whether no simple model does better; `False` if this is unknown."""
    return outcome.is_good or (outcome.knows_possible and not outcome.is_behind)


def share_of_line(epochs: int) -> float:
    """Returns the least share of the last third of the epochs in nearly a line.

    With three to five epochs, the last third is one epoch.
    """
    return STRAIGHT * max(1, epochs // 3) / max(1, epochs)


def falls_in_line(outcome: Outcome, epochs: int) -> bool:
    """Returns whether the loss was falling almost linearly at the end.

    A share of the last third above 1 belongs to a loss that has risen before.
    """
    late = outcome.late_share
    return late is not None and share_of_line(epochs) <= late <= 1


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
            f"The model removes {outcome.score:.0%} of the loss of a constant, while a "
            f"simple model removes {outcome.possible:.0%} on held-out examples."
        )
        return [Evidence(text, outcome.score, outcome.possible)]
    return []
