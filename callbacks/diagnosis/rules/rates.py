"""Rules on the learning rate, judged by the updates and by the loss.

The update ratio, update norm over weight norm, is judged at the peak of the learning
rate, so that warm-up and decay do not count. A ratio of about 1e-3 is typical
(Karpathy, CS231n). A ratio by itself gives no finding: the loss must show harm.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import Outcome, outcome_of
from ..run.training_facts import TrainingFacts
from . import advice
from .rule import rule
from .units import DEAD

LARGE_RATIO = 0.1  # a step that changes a tenth of the weights
HIGH_RATIO = 0.02
GROWTH = 10.0  # of the norm of a kernel: training has diverged
# Adam at a high rate inflates the weights until its updates look small again. Healthy
# kernels grow as much only while they learn.
INFLATED = 4.0
# The initial weights are lost if the first updates are about as large, and make them
# several times larger. Weights that start very small may grow as much, from smaller
# updates.
OVERWRITTEN, FIRST_RATIO = 3.0, 0.3
WEAK = 0.8  # share of the trivial loss that was removed
TYPICAL_RATIO = 1e-3
# Below a third of the typical ratio, the rate explains slow progress; above, the number
# of steps does.
LOW_RATIO = 3e-4
# If all updates had the same direction, the weights would have moved by less than a
# third of their size.
SHORT_TRAVEL = 0.3
WORSE = 2.0  # times the loss of a constant predictor, for a whole epoch
RISE = 0.1  # of the trivial loss, from the lowest epoch to the last


@dataclass(frozen=True)
class Updates:
    """The size of the updates of a training run, relative to the weights.

    Attributes:
        ratio: Median update ratio at the peak of the learning rate.
        first: Update ratio of the first record.
        largest: Largest ratio of a later record.
        growth: Largest factor by which the norm of a kernel has grown.
        early: The same, from the first record to the second.
    """

    ratio: float
    first: float
    largest: float
    growth: float
    early: float

    @property
    def are_large(self) -> bool:
        """Whether steps changed a tenth of the weights, or have inflated them."""
        return self.ratio > LARGE_RATIO or self.growth > INFLATED

    @property
    def overwrote_weights(self) -> bool:
        """Whether the first updates have replaced the initial weights."""
        return self.early > OVERWRITTEN and self.first > FIRST_RATIO


@rule("failure")
def too_high(facts: Facts) -> list[Finding]:
    """A rate is too high if updates are large and the loss does not fall because of it.

    Large updates by themselves are no fault: one of the harms below must be there, too.
    """
    training = facts.training
    if training is None or not len(training.step):
        return []
    outcome, updates = outcome_of(facts), _updates(training)
    evidence = [
        one
        for harm in (
            _diverged,
            _worse_than_constant,
            _stuck,
            _rising,
            _died,
            _far_below,
        )
        for one in harm(facts, outcome, updates)
    ] or _overwritten(facts, outcome, updates)
    if not evidence:
        return []
    rate = float(np.nanmax(training.learning_rate))
    shown = updates.ratio if math.isfinite(updates.ratio) else updates.largest
    factor = 0.1
    if shown > 0:
        factor = min(0.1, 10 * TYPICAL_RATIO / shown)
        text = (
            f"At the learning rate {rate:g}, an update changes the weights by "
            f"{shown:.2g} of their size, where about 1e-3 is typical."
        )
        evidence.append(Evidence(text, shown, LARGE_RATIO))
    is_lost = outcome.is_trivial or not np.isfinite(training.curve("loss")).all()
    return [
        finding(
            "learning_rate_too_high",
            "error" if is_lost else "warning",
            "argument `optimizer`",
            evidence,
            advice.with_rate(facts, rate * factor),
            "Or search for a rate: callbacks.find_learning_rate(model, dataset).",
            picture="ratio",
        )
    ]


def _diverged(facts: Facts, outcome: Outcome, updates: Updates) -> list[Evidence]:
    """The loss becomes NaN or infinite after large updates or growing weights."""
    losses = facts.training.curve("loss") if facts.training else np.zeros(0)
    epochs = np.flatnonzero(~np.isfinite(losses))
    if not len(epochs):
        return []
    if updates.largest <= LARGE_RATIO and updates.growth <= GROWTH:
        return []
    text = (
        f"The loss becomes {losses[epochs[0]]}, after the weights have grown by a "
        f"factor of {updates.growth:.3g}."
    )
    return [Evidence(text, epoch=int(epochs[0]))]


def _worse_than_constant(facts, outcome: Outcome, updates: Updates) -> list[Evidence]:
    """An epoch is much worse than a constant predictor and than the start."""
    losses = facts.training.curve("loss")
    finite = losses[np.isfinite(losses)]
    if outcome.trivial is None or not len(finite) or outcome.is_good:
        return []
    penalty = facts.end.penalty if facts.end is not None else 0.0
    limit = WORSE * max(outcome.trivial, outcome.first or 0.0)
    if updates.ratio <= HIGH_RATIO or finite.max() - penalty <= limit:
        return []
    text = (
        f"The loss of an epoch is {finite.max():.3g}, while a constant predictor has "
        f"{outcome.trivial:.3g}."
    )
    return [Evidence(text, float(finite.max()), limit, epoch=int(np.nanargmax(losses)))]


def _stuck(facts: Facts, outcome: Outcome, updates: Updates) -> list[Evidence]:
    """The model ends no better than a constant predictor."""
    if not (outcome.is_trivial and updates.are_large):
        return []
    if outcome.last is None or not math.isfinite(outcome.last):
        return []
    text = (
        f"The loss ends at {outcome.last:.3g}, no better than a constant predictor "
        f"with {outcome.trivial:.3g}, while the weights have grown by a factor of "
        f"{updates.growth:.3g}."
    )
    return [Evidence(text)]


def _rising(facts, outcome: Outcome, updates: Updates) -> list[Evidence]:
    """The training loss rises again."""
    losses = facts.training.curve("loss")
    finite = losses[np.isfinite(losses)]
    if outcome.trivial is None or not outcome.is_poor or len(finite) < 3:
        return []
    rise = float(finite[-1] - finite.min())
    if updates.ratio <= HIGH_RATIO or rise <= RISE * outcome.trivial:
        return []
    text = f"The training loss rises from {finite.min():.3g} to {finite[-1]:.3g}."
    return [Evidence(text, rise, RISE * outcome.trivial)]


def _died(facts: Facts, outcome: Outcome, updates: Updates) -> list[Evidence]:
    """At least 90 % of the units of a layer have died; less than half were dead."""
    is_large = updates.overwrote_weights or updates.largest > LARGE_RATIO
    if facts.start is None or facts.end is None or outcome.is_good or not is_large:
        return []
    for layer in facts.end.layers:
        before = facts.start.layer(layer.name)
        is_dead = layer.is_activation and layer.dead >= DEAD
        if is_dead and before is not None and before.dead < 0.5:
            text = f"{layer.dead:.0%} of the units of layer '{layer.name}' have died."
            return [Evidence(text, layer.dead, DEAD)]
    return []


def _far_below(facts: Facts, outcome: Outcome, updates: Updates) -> list[Evidence]:
    """A simple model does much better."""
    if not (outcome.could_be_better and updates.are_large):
        return []
    text = (
        f"The training score is {outcome.score:.2f}, while a simple model reaches "
        f"{outcome.possible:.2f} on held-out examples."
    )
    return [Evidence(text, outcome.score, outcome.possible)]


def _overwritten(facts, outcome: Outcome, updates: Updates) -> list[Evidence]:
    """The first updates have replaced the initial weights, and the model is weak."""
    is_weak = outcome.explained is not None and outcome.explained < WEAK
    if not (updates.overwrote_weights and is_weak) or outcome.is_good:
        return []
    step = int(facts.training.step[1])
    text = (
        f"The first update is {updates.first:.2g} times as large as the weights, and "
        f"after {step} steps they have grown by a factor of {updates.early:.3g}."
    )
    return [Evidence(text, updates.early, OVERWRITTEN, step=step)]


def _updates(training: TrainingFacts) -> Updates:
    ratios = training.median_ratio
    later = ratios[1:] if len(ratios) > 1 else ratios
    later = later[np.isfinite(later)]
    return Updates(
        ratio=training.peak_ratio,
        first=float(ratios[0]),
        largest=float(later.max()) if len(later) else math.nan,
        growth=_growth(training),
        early=_growth(training, records=2),
    )


@rule("end")
def too_low(facts: Facts) -> list[Finding]:
    """A rate is too low if the weights hardly moved and the loss is still high.

    Fine-tuning uses small rates on purpose, so models with frozen layers or with a
    trained optimizer are not judged, and neither is a run that ends well.
    """
    training = facts.training
    model = facts.model
    if training is None or not len(training.step) or not training.is_over:
        return []
    if model.is_frozen_in_part or model.optimizer.iterations:
        return []
    outcome, steps = outcome_of(facts), training.total_steps
    ratio = training.peak_ratio
    if not (ratio < LOW_RATIO) or steps is None or steps < 20:
        return []
    ratios = training.median_ratio[np.isfinite(training.median_ratio)]
    travel = float(np.mean(ratios)) * steps
    is_harmed = outcome.is_poor or outcome.could_be_better
    if travel > SHORT_TRAVEL or not is_harmed or outcome.is_good:
        return []
    rate = float(np.nanmax(training.learning_rate))
    return [
        finding(
            "learning_rate_too_low",
            "error"
            if outcome.explained is not None and outcome.explained < 0.1
            else "warning",
            "argument `optimizer`",
            [
                Evidence(
                    f"At the learning rate {rate:g}, an update changes the weights by "
                    f"{ratio:.1e} of their size, where about 1e-3 is typical.",
                    ratio,
                    LOW_RATIO,
                ),
                Evidence(
                    f"In {steps:,} steps the weights can have moved by {travel:.2g} of "
                    "their size at most.",
                    travel,
                    SHORT_TRAVEL,
                ),
            ],
            advice.with_rate(facts, rate * min(1e4, TYPICAL_RATIO / max(ratio, 1e-9))),
            "Or search for a rate: callbacks.find_learning_rate(model, dataset).",
            picture="ratio",
        )
    ]


def _growth(training: TrainingFacts, records: int | None = None) -> float:
    """Returns the largest factor by which the norm of a kernel has grown.

    Args:
        training: Facts of the training run.
        records: Number of records to look at. Defaults to `None`: all.
    """
    norms = training.weight_norm[:records, training.kernels]
    finite = np.where(np.isfinite(norms) & (norms > 0), norms, np.nan)
    if not finite.size or np.isnan(finite[0]).all():
        return 1.0
    with np.errstate(invalid="ignore", divide="ignore"):
        factors = finite / finite[0]
    return float(np.nanmax(factors))


RULES = (too_high, too_low)
