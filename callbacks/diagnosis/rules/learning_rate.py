"""The learning rate that a run has used, and the rate to try next."""

import math

from ..facts import Facts
from . import advice

# Customary rates: SGD by He et al. (2016), Adadelta by Zeiler (2012), Adagrad by
# Dean et al. (2012), and 1e-3 for Adam and its relatives, by Kingma & Ba (2015).
CUSTOMARY = {"SGD": 0.1, "Adadelta": 1.0, "Adagrad": 0.01}
CUSTOMARY_OF_ADAM = 1e-3
TYPICAL_RATIO = 1e-3  # of updates to weights (Karpathy, CS231n)
SEARCH = "Or search for a rate: callbacks.find_learning_rate(model, dataset)."


def used_rate(facts: Facts) -> float | None:
    """Returns the highest rate of the run, or else the rate of the first step.

    Before a run, the rate of a schedule is unknown: the first step of a warm-up has the
    rate 0.
    """
    training, optimizer = facts.training, facts.model.optimizer
    if training is not None and len(training.step):
        rate = training.peak_rate
        return rate if rate is not None and math.isfinite(rate) else None
    return None if optimizer.is_scheduled else optimizer.learning_rate


def customary_rate(facts: Facts) -> float:
    """Returns the highest rate to propose for the optimizer of the model.

    Momentum m multiplies the effective rate of SGD by 1 / (1 - m).
    """
    optimizer = facts.model.optimizer
    rate = CUSTOMARY.get(optimizer.name or "", CUSTOMARY_OF_ADAM)
    has_momentum = optimizer.settings.get("momentum", 0.0) > 0
    # The customary momentum is 0.9.
    return 0.1 * rate if optimizer.name == "SGD" and has_momentum else rate


def lower_rate(facts: Facts, rate: float | None) -> str:
    """Returns a line of code that sets a rate, at most the customary one."""
    customary = customary_rate(facts)
    return advice.set_rate(facts, customary if rate is None else min(rate, customary))


def at_rate(rate: float | None) -> str:
    """Returns the begin of a sentence that names a rate."""
    return "At the rates used" if rate is None else f"At the learning rate {rate:g}"
