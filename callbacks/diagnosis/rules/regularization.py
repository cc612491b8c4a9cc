"""Rules on penalties, weight decay and noise that keep the model from fitting."""

import math

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import outcome_of
from .comparison import comparison
from .learning_rate import used_rate
from .optimizer import with_setting
from .rule import rule

DECAY = 1e-3  # weight decay times rate: the weights lose 63 % every 1,000 steps
DECAYED = 3.0  # the same times the number of steps: 5 % of the weights are left
START = 10.0  # penalty over the loss of a constant predictor
SHARE = 0.25  # penalty over the whole loss
# Under a penalty that has won, the weights shrink to half of their first norm, or, if
# the penalty itself is gone, to a tenth.
HALVED, COLLAPSED = 0.5, 0.1
STRONG, KEPT = 0.5, 0.1  # rates from 0.5 on, and the share that all of them keep
NOISE = 0.1  # of the trivial loss: loss in training mode above that in inference


@rule("first_pass", "plain_step", is_risk=True)
def decay(facts: Facts) -> list[Finding]:
    """Weight decay shrinks the weights by rate * decay in every step.

    After a run in which the weights have collapsed, weaker decay counts as well.
    """
    optimizer, training, rate = facts.model.optimizer, facts.training, used_rate(facts)
    value = optimizer.settings.get("weight_decay")
    if optimizer.name is None or not rate or not value:
        return []
    steps = training.total_steps if training is not None else None
    has_decayed = steps is not None and rate * value * steps > DECAYED
    has_collapsed = has_decayed and _remaining(facts) < COLLAPSED
    is_harm = has_collapsed and outcome_of(facts).is_behind
    if rate * value <= DECAY and not is_harm:
        return []
    text = (
        f"weight_decay={value:g} at the learning rate {rate:g} removes "
        f"{rate * value:.2%} of the weights in every step."
    )
    return [
        finding(
            "over_regularized",
            "warning",
            "argument `optimizer`",
            Evidence(text, rate * value, DECAY),
            with_setting(optimizer, f"'weight_decay': {min(0.01, value / 100):g}"),
            picture="loss",
        )
    ]


@rule("first_pass", "known_loss", "plain_step", is_risk=True)
def first_penalty(facts: Facts) -> list[Finding]:
    """A penalty far above the loss can only be reduced by shrinking the weights.

    At the minimum, the penalty is at most the loss of a trivial predictor, which zero
    weights reach. A first penalty of 10 times that forces the weights down by a factor
    of 3 or more, in every layer. Small targets of a regression need small weights only,
    so a trivial loss below 1 counts as 1.
    """
    start = facts.start
    if start is None:
        return []
    trivial = outcome_of(facts).trivial
    if trivial is None or start.penalty <= START * max(trivial, 1.0):
        return []
    text = (
        f"The regularization terms start at {start.penalty:.3g}, while a trivial "
        f"predictor has the loss {trivial:.3g}."
    )
    evidence = Evidence(text, start.penalty, START * max(trivial, 1.0))
    return [_penalized(facts, [evidence], 1000)]


@rule("end", "known_loss", "plain_step")
def large_penalty(facts: Facts) -> list[Finding]:
    """A penalty that dominates the loss at the end has won against the data.

    The loss has settled and more than a quarter of it is penalty, or there are almost
    no weights left. A simple model does better, or the model is no better than a
    constant; then the weights must have shrunk to half.
    """
    training, end, outcome = facts.training, facts.end, outcome_of(facts)
    if training is None or end is None or not training.is_over:
        return []
    losses, remaining = training.curve("loss"), _remaining(facts)
    has_penalty = end.penalty > 0 and len(losses) > 0 and losses[-1] > 0
    if not has_penalty or not (outcome.is_behind or outcome.is_trivial):
        return []
    share = end.penalty / losses[-1]
    has_won = share >= SHARE and outcome.is_settled
    has_won = has_won and (outcome.is_behind or remaining < HALVED)
    if not has_won and not remaining < COLLAPSED:
        return []
    text = (
        f"{share:.0%} of the last loss are regularization terms; the weights have "
        f"shrunk to {remaining:.2g} of their first norm."
    )
    evidence = [Evidence(text, share, SHARE), *comparison(outcome)]
    return [_penalized(facts, evidence, 100)]


def _penalized(facts: Facts, evidence: list, factor: float) -> Finding:
    """Returns a finding with the advice to divide the strongest penalty by a factor.

    Without a penalty of a kernel, outputs or other weights are penalized.
    """
    layers = [one for one in facts.model.layers if any(one.regularizers)]
    if layers:
        worst = max(layers, key=lambda one: max(one.regularizers))
        l1, l2 = worst.regularizers
        name, value = ("L1", l1) if l1 > l2 else ("L2", l2)
        layer = worst.name.rpartition("/")[2]
        where = f"layer '{worst.name}'"
        is_cell = worst.kind in ("LSTM", "GRU", "SimpleRNN")
        path = "cell.kernel.regularizer" if is_cell else "kernel.regularizer"
        fixes = (
            f"model.get_layer({layer!r}).{path} = "
            f"keras.regularizers.{name}({value / factor:g})",
            f"Lower it in all {len(layers)} layers with a regularizer.",
        )
    else:
        where = "model"
        fixes = (
            "for layer in model.layers: layer.activity_regularizer = None",
            "Lower the regularizers of recurrent kernels, biases and embeddings, too.",
        )
    return finding(
        "over_regularized", "warning", where, evidence, *fixes, picture="loss"
    )


@rule("end", "known_loss", "plain_step", "graph")
def much_noise(facts: Facts) -> list[Finding]:
    """Dropout or noise keeps a model from fitting that a simple model beats.

    Either layers with rates from 0.5 on keep less than a tenth together, or the loss
    has settled and is much higher with the noise than without it.
    """
    training, end, graph = facts.training, facts.end, facts.model.graph
    if training is None or end is None or graph is None or not training.is_over:
        return []
    outcome = outcome_of(facts)
    nodes = [node for node in graph.nodes if node.role == "dropout"]
    rates = [float(one.options.get("rate") or 0.0) for one in nodes]
    if not nodes or outcome.ended_well:
        return []
    strong = [one for one in rates if one >= STRONG]
    kept = math.prod(1 - one for one in strong)
    is_strong = kept < KEPT and (outcome.is_behind or outcome.is_trivial)
    gap = (end.training_loss or 0.0) - (end.loss or 0.0)
    is_noisy = bool(outcome.trivial) and gap > NOISE * (outcome.trivial or 0.0)
    if not is_strong and not (is_noisy and outcome.is_settled and outcome.is_behind):
        return []
    node = nodes[int(np.argmax(rates))]
    name = node.name.rpartition("/")[2]
    evidence = list(comparison(outcome))
    if kept < KEPT:
        text = (
            f"The {len(strong)} layers with much dropout keep {kept:.1%} of the units."
        )
        evidence.append(Evidence(text, kept, KEPT))
    if is_noisy:
        text = (
            f"The loss is {end.training_loss:.3g} with dropout or noise, and "
            f"{end.loss:.3g} without it."
        )
        evidence.append(Evidence(text, gap))
    return [
        finding(
            "over_regularized",
            "warning",
            f"layer '{node.name}'",
            evidence,
            f"keras.layers.{node.kind}(0.1, name={name!r})",
            "Lower the rates of all such layers, or remove most of them.",
            picture="loss",
        )
    ]


def _remaining(facts: Facts) -> float:
    """Returns the last norm of the kernels over the first, as a median."""
    training = facts.training
    if training is None or len(training.step) < 2 or not training.kernels:
        return 1.0
    norms = training.weight_norm[:, training.kernels]
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.nanmedian(norms[-1] / norms[0]))


RULES = (decay, first_penalty, large_penalty, much_noise)
