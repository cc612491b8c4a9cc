"""The learning rate that a run has used, and the rate to try next."""

import math

import numpy as np

from ...monitors.layer_statistics import LayerStatistics
from ..facts import Facts
from ..outcome import outcome_of
from . import advice

# Customary rates: SGD by He et al. (2016), Adadelta by Zeiler (2012), Adagrad by
# Dean et al. (2012), and 1e-3 for Adam and its relatives, by Kingma & Ba (2015).
CUSTOMARY = {"SGD": 0.1, "Adadelta": 1.0, "Adagrad": 0.01}
CUSTOMARY_OF_ADAM = 1e-3
TYPICAL_RATIO = 1e-3  # of updates to weights (Karpathy, CS231n)
DIED = 0.9  # of the units of a layer
RUINED = "Build the model again first: large updates have ruined its weights."
SCHEDULED = (
    "`ScheduleLearningRate` multiplies this rate by the factor of its schedule. If "
    "another callback sets the rate, lower the rate there."
)


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


def lower_rate(facts: Facts, rate: float | None) -> list[str]:
    """Returns advice that lowers the rate, at most to the customary one.

    A comment before the line of code says if the weights are ruined.
    """
    customary = customary_rate(facts)
    line = advice.set_rate(facts, customary if rate is None else min(rate, customary))
    if is_lost(facts) or dead_layer(facts) is not None:
        line = f"# {RUINED}\n{line}"
    return [line, *([SCHEDULED] if _varies(facts) else []), search(facts)]


def search(facts: Facts) -> str:
    """Returns the advice to search for a rate, on the data that `fit` was given."""
    training = facts.training
    data = "dataset" if training is not None and training.reads_dataset else "x, y"
    return f"Or search for a rate: callbacks.find_learning_rate(model, {data})."


def is_lost(facts: Facts) -> bool:
    """Returns whether the model of a run is no better than a constant predictor."""
    training = facts.training
    if training is None:
        return False
    return outcome_of(facts).is_trivial or not np.isfinite(training.curve("loss")).all()


def dead_layer(facts: Facts) -> LayerStatistics | None:
    """Returns a layer of which 90 % of the units are dead; less than half were dead."""
    if facts.start is None or facts.end is None:
        return None
    for layer in facts.end.layers:
        before = facts.start.layer(layer.name)
        is_dead = layer.is_activation and layer.dead >= DIED
        if is_dead and before is not None and before.dead < 0.5:
            return layer
    return None


def at_rate(rate: float | None) -> str:
    """Returns the begin of a sentence that names a rate."""
    return "At the rates used" if rate is None else f"At the learning rate {rate:g}"


def _varies(facts: Facts) -> bool:
    """Returns whether a callback has changed the rate during the run."""
    training = facts.training
    if training is None or facts.model.optimizer.is_scheduled:
        return False
    rates = training.learning_rate[np.isfinite(training.learning_rate)]
    return len(rates) > 0 and bool((rates != rates[0]).any())
