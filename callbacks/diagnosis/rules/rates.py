"""Rules on the learning rate, judged by the updates and by the loss.

The update ratio, update norm over weight norm, is judged at the peak of the learning
rate, so that warm-up and decay do not count. A ratio of about 1e-3 is typical
(Karpathy, CS231n). A ratio by itself gives no finding: the loss must show harm.
"""

import math

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import outcome_of
from ..training_facts import TrainingFacts
from . import code

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
TYPICAL_RATIO = 1e-3
# Below a third of the typical ratio, the rate explains slow progress; above, the number
# of steps does.
LOW_RATIO = 3e-4
# If all updates had the same direction, the weights would have moved by less than a
# third of their size.
SHORT_TRAVEL = 0.3
WORSE = 2.0  # times the loss of a constant predictor, for a whole epoch
RISE = 0.1  # of the trivial loss, from the lowest epoch to the last


def too_high(facts: Facts) -> list[Finding]:
    """A rate is too high if updates are large and the loss does not fall because of it.

    The harm must be one of these: the loss becomes NaN after large updates or growing
    weights; an epoch is much worse than a constant predictor and than the start; the
    model ends no better than a constant predictor; the loss rises again.
    """
    training = facts.training
    if training is None or not len(training.step):
        return []
    outcome = outcome_of(facts)
    losses = training.curve("loss")
    ratio = training.peak_ratio
    finite_ratio = training.median_ratio[np.isfinite(training.median_ratio)]
    largest = (
        float(finite_ratio[1:].max())
        if len(finite_ratio) > 1
        else (float(finite_ratio[0]) if len(finite_ratio) else math.nan)
    )
    rate = float(np.nanmax(training.learning_rate))
    evidence = []
    severity = "warning"
    nan_epochs = np.flatnonzero(~np.isfinite(losses))
    growth = _growth(training)
    if len(nan_epochs) and (largest > LARGE_RATIO or growth > GROWTH):
        severity = "error"
        evidence.append(
            Evidence(
                f"The loss becomes {losses[nan_epochs[0]]}, after the weights have "
                f"grown by a factor of {growth:.3g}.",
                epoch=int(nan_epochs[0]),
            )
        )
    reference = max(
        (one for one in (outcome.trivial, outcome.first) if one is not None),
        default=None,
    )
    finite = losses[np.isfinite(losses)]
    penalty = facts.end.penalty if facts.end is not None else 0.0
    if (
        outcome.trivial is not None
        and reference is not None
        and len(finite)
        and finite.max() - penalty > WORSE * reference
        and ratio > HIGH_RATIO
        and not outcome.is_good
    ):
        evidence.append(
            Evidence(
                f"The loss of an epoch is {finite.max():.3g}, while a constant "
                f"predictor has {outcome.trivial:.3g}.",
                float(finite.max()),
                WORSE * reference,
                epoch=int(np.nanargmax(losses)),
            )
        )
    is_large = ratio > LARGE_RATIO or growth > INFLATED
    if outcome.is_trivial and is_large and training.num_epochs >= 1:
        severity = "error"
        evidence.append(
            Evidence(
                f"The loss ends at {outcome.last:.3g}, no better than a constant "
                f"predictor with {outcome.trivial:.3g}, while the weights have grown "
                f"by a factor of {growth:.3g}."
            )
        )
    if (
        outcome.trivial is not None
        and len(finite) >= 3
        and finite[-1] - finite.min() > RISE * outcome.trivial
        and ratio > HIGH_RATIO
        and outcome.is_poor
    ):
        evidence.append(
            Evidence(
                f"The training loss rises from {finite.min():.3g} to {finite[-1]:.3g}.",
                float(finite[-1] - finite.min()),
                RISE * outcome.trivial,
            )
        )
    early = _growth(training, records=2)
    first = float(training.median_ratio[0])
    if outcome.is_poor and not evidence and early > OVERWRITTEN and first > FIRST_RATIO:
        evidence.append(
            Evidence(
                f"The first update is {first:.2g} times as large as the weights, and "
                f"after {training.step[1]} steps they have grown by a factor of "
                f"{early:.3g}.",
                early,
                OVERWRITTEN,
                step=int(training.step[1]),
            )
        )
    if outcome.could_be_better and is_large:
        evidence.append(
            Evidence(
                f"The training score is {outcome.score:.2f}, while a simple model "
                f"reaches {outcome.possible:.2f} on held-out examples.",
                outcome.score,
                outcome.possible,
            )
        )
    if not evidence:
        return []
    shown = ratio if math.isfinite(ratio) else largest
    if math.isfinite(shown):
        evidence.append(
            Evidence(
                f"At the learning rate {rate:g}, an update changes the weights by "
                f"{shown:.2g} of their size, where about 1e-3 is typical.",
                shown,
                LARGE_RATIO,
            )
        )
    factor = min(0.1, 10 * TYPICAL_RATIO / shown) if shown > 0 else 0.1
    return [
        finding(
            "learning_rate_too_high",
            severity,
            "argument `optimizer`",
            evidence,
            code.with_rate(facts, rate * (factor if math.isfinite(factor) else 0.1)),
            "Or search for a rate: callbacks.find_learning_rate(model, dataset).",
            picture="ratio",
        )
    ]


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
            code.with_rate(facts, rate * min(1e4, TYPICAL_RATIO / max(ratio, 1e-9))),
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
