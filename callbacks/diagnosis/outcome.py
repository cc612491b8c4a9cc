"""How well a training run ended, compared with what is possible."""

import math
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np

from .data.dependence import SURE, sees_all
from .facts import Facts
from .run.trivial import TrivialLoss, uniform_loss

MARGIN = 0.1  # of the trivial loss: a tenth of what there is to explain
# Share of the whole progress in the last third of an exponential that ran for four time
# constants; a straight line has a third.
SETTLED = 0.05
FLAT = 0.005  # of the trivial loss: parameters that fit noise do as much
# Error of the trivial loss beyond which it is not compared with.
PRECISE = 0.1
# Share that one batch of 256 examples can show: it belongs to a correlation of 0.14,
# and the standard error of a correlation is 1 / sqrt(256) = 0.06.
VISIBLE = 0.02

_OUTCOMES: WeakKeyDictionary[Facts, "Outcome"] = WeakKeyDictionary()


@dataclass(frozen=True)
class Outcome:
    """The result of a training run on its training data.

    Shares are fractions of what a perfect model removes from the trivial loss.

    Attributes:
        trivial: Loss of the best constant predictor, or `None` if unknown.
        trivial_error: Standard error of the trivial loss.
        linear: Loss that a linear model reaches on held-out examples, or `None` if
            unknown. Known for cross-entropies and the squared error.
        first: Loss before training, or of the first epoch, without penalties.
        last: Loss at the end without penalties: of the last epoch, or of one batch in
            inference mode, if that is lower.
        explained: Share that the model has removed: 0 for a constant predictor, 1 for a
            perfect model. `None` if unknown.
        score: The larger share of those in training and validation.
        possible: Share that a simple model removes on held-out examples.
        is_complete: Whether simple models can see what the model sees. If not, a model
            that does as well as they do may still be far from what is possible.
        deviation: Standard deviation of `possible` by chance.
        late_share: Share of the fall of the loss in the last third of the epochs, or
            `None` if the loss did not fall or there are fewer than three epochs.
        is_settled: Whether the loss has stopped falling.
        is_trivial: Whether the model is known to be no better than a constant
            predictor: not by three standard errors or 0.5 % over an epoch, nor by 2 %
            on the examples of one batch, if that was compared.
        is_linear_certain: Whether a linear or other simple model is known to be better
            than a constant predictor.
    """

    trivial: float | None = None
    trivial_error: float = 0.0
    linear: float | None = None
    first: float | None = None
    last: float | None = None
    explained: float | None = None
    score: float | None = None
    possible: float | None = None
    is_complete: bool = False
    deviation: float = 0.0
    late_share: float | None = None
    is_settled: bool = False
    is_trivial: bool = False
    is_linear_certain: bool = False
    floor: float = 0.0

    @property
    def margin(self) -> float:
        """Difference of two shares that is clear."""
        return max(MARGIN, SURE * self.deviation)

    @property
    def is_good(self) -> bool:
        """Whether the model is known to do about as well as is possible, or better.

        It removes 90 % of the trivial loss, or as much as simple models that certainly
        beat a constant.
        """
        if self.score is None or self.explained is None:
            return False
        if max(self.explained, self.score) >= 1 - MARGIN:
            return True
        if self.possible is None or not self.is_complete:
            return False
        if not self.is_linear_certain:
            return False
        return self.score >= self.possible - self.deviation

    @property
    def knows_possible(self) -> bool:
        """Whether simple models show what is possible, not only what is at least."""
        return self.possible is not None and self.is_complete

    @property
    def could_be_better(self) -> bool:
        """Whether a simple model is known to do much better."""
        if self.score is None or self.possible is None or not self.is_linear_certain:
            return False
        return self.score < self.possible - self.margin

    @property
    def is_poor(self) -> bool:
        """Whether the model is known to do clearly worse than a linear model."""
        if self.trivial is None or self.linear is None or self.last is None:
            return False
        if not self.is_linear_certain:
            return False
        scale = self.trivial - self.floor
        return not self.last <= self.linear + self.margin * scale

    @property
    def is_behind(self) -> bool:
        """Whether a simple model is known to do clearly better."""
        return self.is_poor or self.could_be_better

    @property
    def ended_well(self) -> bool:
        """Whether no simple model does better; `False` if this is unknown."""
        return self.is_good or (self.knows_possible and not self.is_behind)

    @property
    def is_harmed(self) -> bool:
        """Whether the model is known to have learned less than it could."""
        return self.is_trivial or self.is_behind


def outcome_of(facts: Facts) -> Outcome:
    """Compares the end of a training run with trivial and simple predictors."""
    found = _OUTCOMES.get(facts)
    if found is None:
        found = _OUTCOMES[facts] = _compare(facts)
    return found


def _compare(facts: Facts) -> Outcome:
    losses = np.zeros(0) if facts.training is None else facts.training.curve("loss")
    trivial = _trivial(facts)
    value = None if trivial is None else trivial.value
    floor = 0.0 if trivial is None else trivial.floor
    first, last = _first(facts, losses, trivial), _last(facts, losses)
    explained = _share(trivial, last)
    test = facts.data.dependence if facts.data is not None else None
    if facts.data is not None and facts.data.is_weighted:
        test = None  # simple models do not know the weights
    if not _has_shares(facts):
        test = None
    late = _late_share(losses, first)
    return Outcome(
        trivial=value,
        trivial_error=0.0 if trivial is None else trivial.error,
        linear=(
            None
            if test is None or trivial is None
            else trivial.value - max(0.0, test.linear) * (trivial.value - floor)
        ),
        first=first,
        last=last,
        explained=explained,
        score=_score(facts, trivial, explained),
        possible=None if test is None else max(0.0, test.best),
        is_complete=sees_all(facts.model),
        deviation=0.0 if test is None else test.deviation,
        late_share=late,
        is_settled=_is_settled(losses, first, value),
        is_trivial=_is_trivial(facts, trivial, last),
        is_linear_certain=test is not None and test.is_certain,
        floor=floor,
    )


def _trivial(facts: Facts) -> TrivialLoss | None:
    """Returns the loss of a constant predictor, or of equal probabilities without data.

    Equal probabilities are the worst of the sensible constants, so a model that is no
    better has learned nothing.
    """
    if facts.model.has_own_step:  # the loss may be any other
        return None
    if facts.data is not None or len(facts.model.heads) != 1:
        return facts.trivial
    uniform = uniform_loss(facts.model.losses[0], facts.model.heads[0].units)
    return None if uniform is None else TrivialLoss(uniform, 0.0)


def _first(facts: Facts, losses, trivial: TrivialLoss | None) -> float | None:
    """Returns the loss before training.

    Where it is unknown, it is at least that of a constant predictor: the mean over the
    first epoch hides the fastest progress.
    """
    if facts.start is not None and facts.start.loss is not None:
        return facts.start.loss - facts.start.penalty
    known = [] if trivial is None else [trivial.value]
    return float(max([losses[0], *known])) if len(losses) else None


def _last(facts: Facts, losses) -> float | None:
    """Returns the loss at the end.

    Dropout and earlier weights raise the mean over an epoch above that of one batch in
    inference mode.
    """
    if not len(losses):
        return None
    end = facts.end
    penalty = end.penalty if end is not None else 0.0
    last = float(losses[-1]) - penalty
    if end is None or end.loss is None or not math.isfinite(end.loss):
        return last
    return min(last, end.loss - penalty) if math.isfinite(last) else last


def _share(trivial: TrivialLoss | None, loss: float | None) -> float | None:
    if trivial is None or loss is None or trivial.value <= trivial.floor:
        return None
    if not math.isfinite(loss):
        return -math.inf
    return (trivial.value - loss) / (trivial.value - trivial.floor)


def _score(facts: Facts, trivial, explained: float | None) -> float | None:
    """Returns the larger share of training and validation.

    Dropout and augmentation make training harder than validation. `fit` weights only
    the training loss by classes.
    """
    if explained is None or facts.training is None or facts.data is None:
        return explained
    validation = facts.training.curve("val_loss")
    if facts.data.is_weighted or not len(validation):
        return explained
    penalty = facts.end.penalty if facts.end is not None else 0.0
    share = _share(trivial, float(validation[-1]) - penalty)
    return max(explained, share if share is not None else explained)


def _has_shares(facts: Facts) -> bool:
    """Returns whether shares of the loss mean the same as scores of simple models."""
    if len(facts.model.losses) != 1:
        return False
    name = facts.model.losses[0].name
    return name in (
        *("binary_crossentropy", "categorical_crossentropy"),
        *("sparse_categorical_crossentropy", "mean_squared_error"),
    )


def _is_trivial(facts: Facts, trivial: TrivialLoss | None, last: float | None) -> bool:
    if trivial is None or last is None or trivial.value <= trivial.floor:
        return False
    scale = trivial.value - trivial.floor
    if 3 * trivial.error > PRECISE * scale:
        return False
    end = facts.end
    if end is not None and end.loss is not None and end.constant is not None:
        loss = end.loss - end.penalty
        if loss < end.constant - VISIBLE * scale:
            return False
    return not last <= trivial.value - max(3 * trivial.error, FLAT * scale)


def _late(losses) -> float:
    """Returns the fall of the loss in the last third of the epochs."""
    return float(losses[-max(1, len(losses) // 3) - 1] - losses[-1])


def _late_share(losses, first: float | None) -> float | None:
    if len(losses) < 3 or first is None or not np.isfinite(losses).all():
        return None
    total = max(first, float(losses[0])) - float(losses[-1])
    return _late(losses) / total if total > 0 else None


def _is_settled(losses, first: float | None, trivial: float | None) -> bool:
    if len(losses) < 3 or first is None or not np.isfinite(losses).all():
        return False
    total = max(first, float(losses[0])) - float(losses[-1])
    scale = abs(float(losses[0])) if trivial is None else trivial
    return _late(losses) <= max(SETTLED * total, FLAT * scale)
