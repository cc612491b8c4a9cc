"""Rules on the learning rate that judge the first update instead of a run."""

import math
import statistics

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from . import advice
from .learning_rate import customary_rate, lower_rate, search, used_rate
from .rule import rule

# Adam's first updates have about the size of the rate, so the ratio to the weights is
# known before training. At 1, one step replaces the weights.
OVERWRITES = 1.0
# At 1e-6, a million steps are needed to move the weights by their own size.
STANDS_STILL = 1e-6
AIM = 0.02  # first updates are larger than later ones, whose typical ratio is 1e-3
# Weights that start smaller add nothing to the signal: their first update may well
# replace them. A gain of 1 keeps the size of a signal.
SMALL_GAIN = 0.1
FIRST_UPDATE = {"Adam", "AdamW", "Adamax", "Nadam", "RMSprop", "Lion"}


@rule("first_pass")
def zero_rate(facts: Facts) -> list[Finding]:
    """A learning rate of zero changes nothing."""
    if facts.model.optimizer.name is None or used_rate(facts) != 0:
        return []
    return [
        finding(
            "learning_rate_too_low",
            "error",
            "argument `optimizer`",
            "The learning rate is 0.",
            advice.set_rate(facts, customary_rate(facts)),
            picture="ratio",
        )
    ]


@rule("first_pass", "plain_step", "graph", is_risk=True)
def first_update(facts: Facts) -> list[Finding]:
    """The first update relative to the weights shows a rate that is far off.

    For optimizers like Adam it follows from the rate and the initial weights. For SGD
    it is the rate times the gradient of the sample. Linear models stand large updates,
    and weights that were trained before may need small ones, so that only new models
    with a hidden layer are judged. Rates of a schedule are judged after the run.
    """
    rate, graph = used_rate(facts), facts.model.graph
    if not rate or graph is None or not graph.hidden() or not facts.model.is_new:
        return []
    ratio = _first_ratio(facts, rate)
    if ratio is None:
        return []
    if ratio >= OVERWRITES:
        cause, limit = "learning_rate_too_high", OVERWRITES
        fixes = lower_rate(facts, rate * AIM / ratio)
    elif ratio <= STANDS_STILL:
        cause, limit = "learning_rate_too_low", STANDS_STILL
        fixes = [advice.set_rate(facts, customary_rate(facts)), search(facts)]
    else:
        return []
    first = _rate_of_first_step(facts)
    is_other = first is not None and first != rate  # such as 0 of a warm-up
    return [
        finding(
            cause,
            "warning",
            "argument `optimizer`",
            Evidence(
                f"At the learning rate {rate:g}, the first update of "
                f"{facts.model.optimizer.name} {'would be' if is_other else 'is'} "
                f"{ratio:.2g} times as large as the weights (median kernel).",
                ratio,
                limit,
            ),
            *fixes,
            picture="ratio",
        )
    ]


def _rate_of_first_step(facts: Facts) -> float | None:
    """Returns the recorded rate of the first step of a run; `None` without one."""
    training = facts.training
    if training is None or not len(training.step) or training.step[0] != 0:
        return None
    return float(training.learning_rate[0])


def _first_ratio(facts: Facts, rate: float) -> float | None:
    """Returns the first update relative to the weights: the median of the kernels."""
    optimizer, graph, start = facts.model.optimizer, facts.model.graph, facts.start
    ratios: list[float] = []
    if optimizer.name in FIRST_UPDATE and graph is not None:
        factor = 1.0
        if optimizer.name == "RMSprop":
            factor = 1 / math.sqrt(max(1e-9, 1 - optimizer.settings.get("rho", 0.9)))
        kernels = [node.kernel for node in graph.nodes if node.has_kernel]
        ratios = [
            factor * rate / one.rms
            for one in kernels
            if one.trainable and one.gain > SMALL_GAIN
        ]
    is_clipped = {"clipnorm", "clipvalue", "global_clipnorm"} & set(optimizer.settings)
    if optimizer.name == "SGD" and start is not None and not is_clipped:
        ratios = [
            rate * start.gradient_norms[path] / start.weight_norms[path]
            for path in start.gradient_norms
            if path.endswith("kernel") and start.weight_norms[path] > 0
        ]
    ratios = [one for one in ratios if math.isfinite(one) and one > 0]
    return statistics.median(ratios) if ratios else None


RULES = (zero_rate, first_update)
