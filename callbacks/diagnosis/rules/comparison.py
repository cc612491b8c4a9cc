"""Comparison of the end of a run with simple models."""

import numpy as np

from ..facts import Facts
from ..finding import Evidence
from ..outcome import VISIBLE, Outcome, outcome_of

# Of the share of a straight line in the progress. In the last third, a straight line
# makes 33 %, an exponential that ran for two time constants 21 %, for three 9 %.
STRAIGHT = 0.75


def never_predicts(facts: Facts, strict: float) -> bool:
    """Returns whether the validation loss was never better than that of a constant.

    The constant must be beaten by 2 % of what there is to explain. Its loss is computed
    on the validation data, or else on the training data, which is less certain.

    Args:
        facts: What is known.
        strict: Number of standard errors by which the validation loss must exceed the
            loss of a constant on the training data.
    """
    outcome, training = outcome_of(facts), facts.training
    is_weighted = facts.data is None or facts.data.is_weighted
    if training is None or outcome.trivial is None or is_weighted:
        return False
    losses = training.curve("val_loss")
    penalty = facts.end.penalty if facts.end is not None else 0.0
    if not len(losses) or not np.isfinite(losses).all():
        return False
    if facts.validation_constant is not None:
        scale = outcome.trivial - outcome.floor
        limit = facts.validation_constant - VISIBLE * scale
    else:
        limit = outcome.trivial + strict * outcome.trivial_error
    return bool(losses.min() - penalty >= limit)


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
