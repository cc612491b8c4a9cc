"""A rule on learning rates that are too high, judged by the updates and by the loss.

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
from .comparison import comparison
from .learning_rate import (
    DIED,
    TYPICAL_RATIO,
    at_rate,
    dead_layer,
    is_lost,
    lower_rate,
    used_rate,
)
from .rule import rule

LARGE_RATIO = 0.1  # a step that changes a tenth of the weights
HIGH_RATIO = 0.02  # 20 times the typical ratio
GROWTH = 10.0  # of the norm of a kernel: training has diverged
# Adam at a high rate inflates the weights until its updates look small again. At the
# typical ratio, weights that always move in the same direction grow as much in 1,400
# steps, so that the updates must have been large, too.
INFLATED = 4.0
# The initial weights are lost if the first updates are about as large, and make them
# several times larger. Weights that start very small may grow as much, from smaller
# updates.
OVERWRITTEN, FIRST_RATIO = 3.0, 0.3
VISIBLE_GROWTH = 1.1  # below, weights have hardly grown, and that is no evidence
WORSE = 2.0  # times the loss of a constant predictor, for a whole epoch
SURE = 3.0  # standard errors
RISE = 0.1  # of the trivial loss
JUMP = 0.05  # of the trivial loss, from one epoch to the next


@dataclass(frozen=True)
class Updates:
    """The size of the updates of a training run, relative to the weights.

    Growth factors are those of the norms of kernels. Embeddings are not counted: they
    start very small and grow in healthy runs.

    Attributes:
        ratio: Median update ratio at the peak of the learning rate.
        first: Update ratio of the first record.
        largest: Largest ratio of a later record.
        growth: Largest growth at any time, as a median over the kernels.
        early: Growth from the first record to the second, as a median over the kernels.
        greatest: Largest growth of any kernel.
    """

    ratio: float
    first: float
    largest: float
    growth: float
    early: float
    greatest: float

    @property
    def are_large(self) -> bool:
        """Whether steps changed a tenth of the weights, or have inflated them."""
        were_large = self.largest > HIGH_RATIO or self.first > FIRST_RATIO
        return self.ratio > LARGE_RATIO or (self.growth > INFLATED and were_large)

    @property
    def overwrote_weights(self) -> bool:
        """Whether the first updates have replaced the initial weights."""
        return self.early > OVERWRITTEN and self.first > FIRST_RATIO


@rule("failure")
def too_high(facts: Facts) -> list[Finding]:
    """A rate is too high if updates are large and the loss does not fall because of it.

    Large updates by themselves are no fault: one of the harms below must be there, too.
    Without a known loss, only a loss that becomes infinite or NaN is one.
    """
    training = facts.training
    if training is None or not len(training.step):
        return []
    outcome, updates = outcome_of(facts), _updates(training)
    evidence = _diverged(facts, updates)
    if outcome.trivial is not None:
        harms = (
            *(_worse_than_constant, _stuck, _rising, _restless, _died, _far_below),
            _overwritten,
        )
        evidence += [
            one for harm in harms for one in harm(facts, training, outcome, updates)
        ]
    if not evidence:
        return []
    rate, factor = used_rate(facts), 0.1
    shown = updates.ratio if math.isfinite(updates.ratio) else updates.largest
    # Later updates are small if units have died or the weights have grown.
    if shown > HIGH_RATIO:
        factor = min(0.1, 10 * TYPICAL_RATIO / shown)
        text = (
            f"{at_rate(rate)}, an update changes the weights by {shown:.2g} of their "
            "size, where about 1e-3 is typical."
        )
        evidence.append(Evidence(text, shown, LARGE_RATIO))
    return [
        finding(
            "learning_rate_too_high",
            "error" if is_lost(facts) else "warning",
            "argument `optimizer`",
            evidence,
            *lower_rate(facts, None if rate is None else rate * factor),
            picture="ratio",
        )
    ]


def _diverged(facts: Facts, updates: Updates) -> list[Evidence]:
    """The loss becomes NaN or infinite after large updates or growing weights.

    So it is if the first update was finite and no later one. A loss or a gradient that
    was not finite before the first update has another cause.
    """
    start = facts.start
    if start is not None and start.loss is not None and not math.isfinite(start.loss):
        return []
    losses = facts.training.curve("loss") if facts.training else np.zeros(0)
    epochs = np.flatnonzero(~np.isfinite(losses))
    blew_up = updates.first > 0 and not math.isfinite(updates.largest)
    is_wild = updates.largest > LARGE_RATIO or updates.greatest > GROWTH or blew_up
    if not len(epochs) or not is_wild:
        return []
    text = f"The loss becomes {losses[epochs[0]]}"
    if updates.greatest >= VISIBLE_GROWTH:
        text += f", after the weights of a layer {_grown(updates.greatest)}"
    elif LARGE_RATIO < updates.largest < math.inf:
        text += f", after an update of {updates.largest:.2g} times the weights"
    else:
        text += ", and an update is not finite"
    text += "."
    return [Evidence(text, epoch=int(epochs[0]))]


def _worse_than_constant(
    facts: Facts, training: TrainingFacts, outcome: Outcome, updates: Updates
) -> list[Evidence]:
    """An epoch is much worse than a constant predictor and than the start."""
    losses = training.curve("loss")
    finite = losses[np.isfinite(losses)]
    if not len(finite) or updates.ratio <= HIGH_RATIO or outcome.ended_well:
        return []
    passes = [one for one in (facts.start, facts.end) if one is not None]
    penalty = max([one.penalty for one in passes], default=0.0)
    trivial = (outcome.trivial or 0.0) + SURE * (outcome.trivial_error or 0.0)
    limit = WORSE * max(trivial, outcome.first or 0.0)
    if finite.max() - penalty <= limit:
        return []
    text = (
        f"The loss of an epoch is {finite.max():.3g}, while a constant predictor has "
        f"{outcome.trivial:.3g}."
    )
    return [Evidence(text, float(finite.max()), limit, epoch=int(np.nanargmax(losses)))]


def _stuck(
    facts: Facts, training: TrainingFacts, outcome: Outcome, updates: Updates
) -> list[Evidence]:
    """The model ends no better than a constant predictor."""
    is_finite = outcome.last is not None and math.isfinite(outcome.last)
    if not (outcome.is_trivial and updates.are_large and is_finite):
        return []
    text = (
        f"The loss ends at {outcome.last:.3g}, no better than a constant predictor "
        f"with {outcome.trivial:.3g}"
    )
    if updates.growth >= VISIBLE_GROWTH:
        text += f", while the weights {_grown(updates.growth)}"
    return [Evidence(f"{text}.")]


def _rising(
    facts: Facts, training: TrainingFacts, outcome: Outcome, updates: Updates
) -> list[Evidence]:
    """The training loss rises again and stays high in the last third of the epochs."""
    losses = training.curve("loss")
    finite = losses[np.isfinite(losses)]
    if len(finite) < 3 or updates.ratio <= HIGH_RATIO or outcome.ended_well:
        return []
    last = float(np.median(finite[-max(1, len(finite) // 3) :]))
    rise, limit = last - float(finite.min()), RISE * (outcome.trivial or 0.0)
    if rise <= limit:
        return []
    text = f"The training loss rises from {finite.min():.3g} to {last:.3g}."
    return [Evidence(text, rise, limit)]


def _restless(
    facts: Facts, training: TrainingFacts, outcome: Outcome, updates: Updates
) -> list[Evidence]:
    """The training loss jumps up and down until the end."""
    losses = training.curve("loss")
    if updates.ratio <= HIGH_RATIO or outcome.ended_well:
        return []
    late = losses[len(losses) // 2 :]
    if len(late) < 4 or not np.isfinite(late).all():
        return []
    jumps, limit = np.diff(late), JUMP * (outcome.trivial or 0.0)
    if (jumps > limit).sum() < 2 or (jumps < -limit).sum() < 1:
        return []
    text = (
        f"In the last {len(late)} epochs the training loss moves between "
        f"{late.min():.3g} and {late.max():.3g}."
    )
    return [Evidence(text, float(jumps.max()), limit)]


def _died(
    facts: Facts, training: TrainingFacts, outcome: Outcome, updates: Updates
) -> list[Evidence]:
    """At least 90 % of the units of a layer have died; less than half were dead."""
    is_large = updates.overwrote_weights or updates.largest > LARGE_RATIO
    layer = dead_layer(facts)
    if layer is None or not is_large or outcome.ended_well:
        return []
    text = f"{layer.dead:.0%} of the units of layer '{layer.name}' have died."
    return [Evidence(text, layer.dead, DIED)]


def _far_below(
    facts: Facts, training: TrainingFacts, outcome: Outcome, updates: Updates
) -> list[Evidence]:
    """A simple model does better."""
    return comparison(outcome) if updates.are_large else []


def _overwritten(
    facts: Facts, training: TrainingFacts, outcome: Outcome, updates: Updates
) -> list[Evidence]:
    """The first updates have replaced the initial weights; a simple model is better."""
    if not updates.overwrote_weights or not outcome.is_behind:
        return []
    step = int(training.step[1])
    text = (
        f"The first update is {updates.first:.2g} times as large as the weights, and "
        f"after {step} steps they {_grown(updates.early)}."
    )
    return [Evidence(text, updates.early, OVERWRITTEN, step=step)]


def _grown(growth: float) -> str:
    return f"have grown by a factor of {growth:.3g}"


def _updates(training: TrainingFacts) -> Updates:
    ratios = training.median_ratio
    later = ratios[1:] if len(ratios) > 1 else ratios
    later = later[np.isfinite(later)]
    growth = _growth(training)
    return Updates(
        ratio=training.peak_ratio,
        first=float(ratios[0]),
        largest=float(later.max()) if len(later) else math.nan,
        growth=float(np.nanmax(np.nanmedian(growth, axis=1))),
        early=float(np.nanmedian(growth[min(1, len(growth) - 1)])),
        greatest=float(np.nanmax(growth)),
    )


def _growth(training: TrainingFacts) -> np.ndarray:
    """Returns the norms of the kernels over their first norms; 1 where unknown.

    The result has the shape `(records, kernels)`.
    """
    kernels = [i for i in training.kernels if training.variables[i].endswith("kernel")]
    norms = training.weight_norm[:, kernels or training.kernels]
    finite = np.where(np.isfinite(norms) & (norms > 0), norms, np.nan)
    if not finite.size or np.isnan(finite[0]).all():
        return np.ones((len(norms), 1))
    growth = finite[:, ~np.isnan(finite[0])]
    growth = growth / growth[0]
    return np.where(np.isnan(growth), 1.0, growth)


RULES = (too_high,)
