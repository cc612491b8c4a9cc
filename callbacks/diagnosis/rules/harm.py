"""Whether a training run shows the harm that a risk can do."""

import numpy as np

from ..facts import Facts
from ..outcome import outcome_of


def is_over(facts: Facts) -> bool:
    """Returns whether a training run has ended."""
    return facts.training is not None and facts.training.is_over


def is_harmed(facts: Facts) -> bool:
    """Returns whether the model is known to have learned less than it could.

    It is no better than a constant, worse than a simple model, or not finite.
    """
    if facts.training is None:
        return False
    return (
        outcome_of(facts).is_harmed
        or not np.isfinite(facts.training.curve("loss")).all()
    )


def severity_of_risk(facts: Facts) -> str:
    """Returns "warning" before the end of a run, or if it was harmed; else "hint"."""
    return "warning" if not is_over(facts) or is_harmed(facts) else "hint"
