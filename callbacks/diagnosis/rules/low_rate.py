"""A rule on learning rates that are too low, judged by the updates and by the loss."""

import math

import numpy as np

from ...monitors.update_ratio_plot import records_at_peak
from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import outcome_of
from ..run.training_facts import TrainingFacts
from . import advice
from .comparison import comparison, falls_in_line
from .learning_rate import TYPICAL_RATIO, at_rate, search, used_rate
from .rule import rule

# At a third of the typical ratio, the rate explains slow progress; above, the number of
# steps does. With fewer than 200 steps, the rate must be much lower than that: then
# even thousands of steps would not suffice.
LOW_RATIO, VERY_LOW_RATIO, ENOUGH_STEPS = 3e-4, 3e-5, 200
# If all updates had the same direction, the weights would have moved by less than a
# third of their size.
SHORT_TRAVEL = 0.3
NEGLIGIBLE, IDLE = 0.01, 0.5  # rate over the peak, and share of the steps
MIN_RECORDS = 5
NO_TRAVEL = 0.03  # the model is still its initialization


@rule("end", "known_loss", "plain_step")
def too_low(facts: Facts) -> list[Finding]:
    """A rate is too low if the weights hardly moved and the loss is still high.

    Harm is a simple model that does better, a loss that still falls in a straight line,
    or a loss at that of a constant predictor while the model is still its
    initialization. Fine-tuning uses small rates on purpose, so only models whose
    weights were new are judged. Updates are measured early, because the gradients of a
    model that has converged are small at any rate.
    """
    training, outcome = facts.training, outcome_of(facts)
    if training is None or not len(training.step) or not training.is_over:
        return []
    ratio, steps, rate = _early_ratio(training), training.total_steps, used_rate(facts)
    if not facts.model.is_new or outcome.is_good or steps is None or rate is None:
        return []
    if rate > 0 and not (training.gradient_norm[:, training.kernels] > 0).any():
        return []  # without gradients, no rate helps
    limit = LOW_RATIO if steps >= ENOUGH_STEPS else VERY_LOW_RATIO
    if not ratio < limit or steps < 20:
        return []
    ratios = training.median_ratio[np.isfinite(training.median_ratio)]
    travel = float(np.mean(ratios)) * steps
    is_untrained = outcome.is_trivial and travel < NO_TRAVEL
    is_slow = falls_in_line(outcome, training.num_epochs) and not outcome.ended_well
    if travel > SHORT_TRAVEL or not (outcome.is_behind or is_slow or is_untrained):
        return []
    return [
        finding(
            "learning_rate_too_low",
            "error" if outcome.is_trivial else "warning",
            "argument `optimizer`",
            [
                Evidence(
                    f"{at_rate(rate)}, an update changes the weights by {ratio:.1e} of "
                    "their size, where about 1e-3 is typical.",
                    ratio,
                    limit,
                ),
                Evidence(
                    f"In {steps:,} steps the weights can have moved by {travel:.2g} of "
                    "their size at most.",
                    travel,
                    SHORT_TRAVEL,
                ),
                *comparison(outcome),
            ],
            advice.set_rate(facts, rate * TYPICAL_RATIO / max(ratio, 1e-12)),
            search(facts),
            picture="ratio",
        )
    ]


@rule("end", "known_loss", "plain_step", "records")
def decayed_too_early(facts: Facts) -> list[Finding]:
    """Most steps ran at a negligible rate, and a simple model does better.

    A schedule that ends at zero spends few steps below a hundredth of its peak: a
    cosine 6 %, a line 1 %.
    """
    training, outcome = facts.training, outcome_of(facts)
    if training is None or not training.is_over or not outcome.is_behind:
        return []
    rates, peak = training.learning_rate, training.peak_rate
    if not peak > 0 or len(rates) < MIN_RECORDS:
        return []
    share = float((rates < NEGLIGIBLE * peak).mean())
    if share < IDLE or not training.last_rate < NEGLIGIBLE * peak:
        return []
    text = (
        f"{share:.0%} of the steps had less than a hundredth of the highest learning "
        f"rate, {peak:.2g}; the last rate is {training.last_rate:.2g}."
    )
    return [
        finding(
            "learning_rate_too_low",
            "error" if outcome.is_trivial else "warning",
            "argument `optimizer`",
            [Evidence(text, share, IDLE), *comparison(outcome)],
            advice.with_rate(facts, peak),
            "Let the schedule decay over all steps of the training: epochs times steps "
            "per epoch.",
            picture="ratio",
        )
    ]


def _early_ratio(training: TrainingFacts) -> float:
    """Returns the median ratio of the first third of the records near the peak rate."""
    found = training.median_ratio[records_at_peak(training.learning_rate)]
    found = found[: math.ceil(len(found) / 3)]
    found = found[np.isfinite(found)]
    return float(np.median(found)) if len(found) else math.nan


RULES = (too_low, decayed_too_early)
