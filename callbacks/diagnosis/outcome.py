"""How well a training run ended, compared with what is possible."""

from dataclasses import dataclass

import numpy as np

from .facts import Facts
from .run.trivial import floor_loss, trivial_loss, uniform_loss

SURE = 4.0  # standard deviations of a score that chance does not explain
MARGIN = 0.1  # of a score, which is much worse
ACCURACIES = (
    *("accuracy", "acc", "sparse_categorical_accuracy", "categorical_accuracy"),
    "binary_accuracy",
)


@dataclass(frozen=True)
class Outcome:
    """The result of a training run on its training data.

    Attributes:
        trivial: Loss of the best constant predictor, or `None` if unknown.
        first: Loss before training, or of the first epoch, without penalties.
        last: Loss of the last epoch without penalties.
        explained: Share of the trivial loss that the model has removed: 0 for a
            constant predictor, 1 for a perfect model. `None` if unknown.
        score: Accuracy or coefficient of determination on the training data.
        possible: Score that a simple model reaches on held-out examples.
        deviation: Standard deviation of `possible`.
    """

    trivial: float | None
    first: float | None
    last: float | None
    explained: float | None
    score: float | None
    possible: float | None
    deviation: float

    @property
    def is_trivial(self) -> bool:
        """Whether the model is known to be no better than a constant predictor."""
        return self.explained is not None and self.explained <= 0.02

    @property
    def is_good(self) -> bool:
        """Whether the model is known to do about as well as is possible, or better."""
        if self.explained is not None and self.explained >= 0.9:
            return True
        if self.score is None or self.possible is None:
            return False
        return self.score >= self.possible - 0.5 * MARGIN

    @property
    def could_be_better(self) -> bool:
        """Whether a simple model is known to do much better."""
        if self.score is None or self.possible is None:
            return False
        gap = max(MARGIN, SURE * self.deviation)
        return self.score < self.possible - gap

    @property
    def is_poor(self) -> bool:
        """Whether the model has learned less than half, and is not known to be good."""
        if self.explained is None:
            return False
        return self.explained < 0.5 and not self.is_good


def outcome_of(facts: Facts) -> Outcome:
    """Compares the last epoch with trivial and simple predictors."""
    training, data = facts.training, facts.data
    losses = training.curve("loss") if training is not None else np.zeros(0)
    trivial = _trivial(facts)
    penalty = facts.end.penalty if facts.end is not None else 0.0
    last = float(losses[-1]) - penalty if len(losses) else None
    first = float(losses[0]) if len(losses) else None
    if facts.start is not None and facts.start.loss is not None:
        first = facts.start.loss - facts.start.penalty
    explained = None
    if trivial and last is not None:
        floor = floor_loss(facts.model, data) if data is not None else 0.0
        if trivial > floor:
            share = (trivial - last) / (trivial - floor)
            explained = share if np.isfinite(last) else -np.inf
    test = data.dependence if data is not None else None
    return Outcome(
        trivial=trivial,
        first=first,
        last=last,
        explained=explained,
        score=_score(facts, explained),
        possible=None if test is None else test.best,
        deviation=0.0 if test is None else test.deviation,
    )


def _trivial(facts: Facts) -> float | None:
    """Returns the loss of a constant predictor, or of equal probabilities without data.

    Equal probabilities are the worst of the sensible constants, so a model that is no
    better has learned nothing.
    """
    if facts.model.has_own_step:  # the loss may be any other
        return None
    if facts.data is not None:
        return trivial_loss(facts.model, facts.data)
    heads = facts.model.heads
    if len(heads) != 1:
        return None
    return uniform_loss(facts.model.losses[0], heads[0].units)


def _score(facts: Facts, explained: float | None) -> float | None:
    """Returns the accuracy, or the coefficient of determination of a regression."""
    if facts.data is None or len(facts.data.targets) != 1 or facts.training is None:
        return None
    loss = facts.model.losses[0]
    if loss.is_distance:
        return explained if loss.name == "mean_squared_error" else None
    for name in ACCURACIES:
        curve = facts.training.curve(name)
        if len(curve) and facts.data.targets[0].classes() is not None:
            return float(curve[-1])
    return None
