"""Rules on training that ends too early, too high, or nowhere."""

import numpy as np

from ...monitors.summaries import number_of
from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import Outcome, outcome_of
from ..reading.graph import Node
from ..run.pass_facts import MAX_EXAMPLES
from ..run.training_facts import TrainingFacts
from . import advice
from .comparison import (
    comparison,
    falls_in_line,
    share_of_line,
)
from .harm import is_over
from .hidden import RECTIFIED, hidden_with
from .rule import rule

LATE_GAIN = 0.05  # of the trivial loss, so that the progress matters
# At the typical update ratio of 1e-3, weights move by at most a tenth of their size in
# 100 steps.
MIN_STEPS = 100
ANNEALED = 0.1  # last rate over the peak: more epochs at this rate change little
FEW_BATCHES = 4  # steps in an epoch: the batch size is a quarter of the data or more
MAX_BATCHES = 20
LARGE_BATCH = 256  # typical sizes are 32 to 256 (Goodfellow et al., 2016, 8.1.3)
DEFAULT_BATCH = 32
LARGE_DATA = 256  # examples, of which batches of 32 would give 8 steps
MIN_EPOCHS = 5
NARROW = 3  # units: more can tell any number of classes apart
TINY_BATCH = 2
TINY_BATCH_OF_STATISTICS = 4  # estimates a variance from 3 degrees of freedom


@rule("end", "known_loss", "plain_step")
def too_few_steps(facts: Facts) -> list[Finding]:
    """Training ended while the loss was still falling.

    If batches of 32 would have given enough steps in as many epochs, the size of the
    batches is at fault. A run that a callback or the user has stopped is not judged.
    """
    training, outcome = facts.training, outcome_of(facts)
    if training is None or not training.is_over or training.ended_early:
        return []
    losses = training.curve("loss")
    if not len(losses) or not np.isfinite(losses).all() or outcome.is_good:
        return []
    evidence = _falling(facts, training, outcome) or _short(facts, training, outcome)
    if not evidence:
        return []
    if _is_batch_large(facts, training):
        steps = training.steps_per_epoch or 0
        text = f"An epoch has only {number_of(steps, 'step')}."
        cause, where = "unfit_batch_size", "argument `batch_size`"
        evidence = [*evidence, Evidence(text, steps, MAX_BATCHES)]
        fixes = [
            advice.fit_with(facts, batch_size=DEFAULT_BATCH, epochs=len(losses)),
            f"Or train for more than {len(losses)} epochs.",
        ]
    else:
        cause, where = "too_few_steps", "argument `epochs`"
        fixes = [
            advice.fit_with(facts, epochs=_epochs(training)),
            "Pass callbacks=[EarlyStopping(patience=5)] to stop when the validation "
            f"loss rises. A schedule needs the same length, such as "
            f"ScheduleLearningRate(Cosine({_epochs(training)})).",
            *_smaller_batches(training.batch_size),
        ]
    return [finding(cause, "warning", where, evidence, *fixes, picture="loss")]


def _falling(facts: Facts, training: TrainingFacts, outcome: Outcome) -> list[Evidence]:
    """The loss was falling almost linearly in the last third of three epochs or more.

    The validation loss must fall with it. Under a decaying rate that has ended, more
    epochs change little, and a loss of fewer than five epochs hardly shows a line, so
    then a simple model must be known to do better.
    """
    losses, validation = training.curve("loss"), training.curve("val_loss")
    late, start = outcome.late_share, len(losses) - max(1, len(losses) // 3) - 1
    if late is None or not falls_in_line(outcome, len(losses)):
        return []
    is_annealed = training.last_rate < ANNEALED * training.peak_rate
    is_doubtful = is_annealed or len(losses) < MIN_EPOCHS
    if outcome.ended_well or (is_doubtful and not outcome.is_behind):
        return []
    if len(validation) == len(losses) and validation[-1] >= validation[start]:
        return []
    fall = losses[start] - losses[-1] - _fall_of_penalty(facts) / 3
    if not outcome.trivial or fall < LATE_GAIN * outcome.trivial:
        return []
    text = (
        f"The last third of {len(losses)} epochs made {late:.0%} of the progress: the "
        f"loss fell from {losses[start]:.3g} to {losses[-1]:.3g}."
    )
    limit = share_of_line(len(losses))
    last = Evidence(text, late, limit, epoch=len(losses) - 1)
    return [last, *comparison(outcome)]


def _short(facts: Facts, training: TrainingFacts, outcome: Outcome) -> list[Evidence]:
    """The few steps have begun to lower the loss.

    Few are less than 100, or one or two epochs that end worse than a simple model. If
    no simple model is known, the loss of a new model must fall even within the last
    epoch of less than 100 steps.
    """
    steps = training.total_steps
    if steps is None or outcome.is_settled or outcome.ended_well:
        return []
    is_few = steps < MIN_STEPS or training.num_epochs < 3
    first, last = outcome.first, outcome.last
    if not is_few or not outcome.trivial or first is None or last is None:
        return []
    is_half = outcome.explained is None or outcome.explained >= 0.5
    is_falling = _fall_within_epoch(facts, training) > LATE_GAIN * outcome.trivial
    is_young = bool(facts.model.is_new) and steps < MIN_STEPS
    if not outcome.is_behind and (is_half or not (is_young and is_falling)):
        return []
    if not first - last > LATE_GAIN * outcome.trivial:
        return []
    text = (
        f"In {number_of(steps, 'step')} (epochs={training.num_epochs}) the loss fell "
        f"from {first:.3g} to {last:.3g}."
    )
    return [Evidence(text, steps), *comparison(outcome)]


def _fall_of_penalty(facts: Facts) -> float:
    """Returns how far the penalties have fallen during the run; 0 if unknown."""
    if facts.start is None or facts.end is None:
        return 0.0
    return max(0.0, facts.start.penalty - facts.end.penalty)


def _fall_within_epoch(facts: Facts, training: TrainingFacts) -> float:
    """Returns the mean loss of the last epoch minus the loss at its end.

    Both are in training mode. The result is 0 if one is unknown.
    """
    if facts.end is None or facts.end.training_loss is None:
        return 0.0
    return float(training.curve("loss")[-1]) - facts.end.training_loss


def _smaller_batches(size: int | None) -> tuple[str, ...]:
    """Returns advice for batches of more than twice the default size."""
    if size is None or size <= 2 * DEFAULT_BATCH:
        return ()
    change = f"batch_size={DEFAULT_BATCH} instead of batch_size={size}"
    return (f"Smaller batches also give more steps: {change}.",)


def _epochs(training: TrainingFacts) -> int:
    """Returns five times the epochs, or as many as give 100 steps."""
    per_epoch = max(1, training.steps_per_epoch or MIN_STEPS)
    return max(5 * training.num_epochs, -(-MIN_STEPS // per_epoch))


def _is_batch_large(facts: Facts, training: TrainingFacts) -> bool:
    """Returns whether batches of 32 would have given enough steps instead."""
    steps, total, size = training.steps_per_epoch, training.total_steps, _size(facts)
    if not steps or total is None or size < max(LARGE_DATA, 2 * DEFAULT_BATCH * steps):
        return False
    is_large = steps < MAX_BATCHES and size > LARGE_BATCH * steps
    is_few = steps <= FEW_BATCHES or (is_large and total < MIN_STEPS)
    return is_few and training.num_epochs * size / DEFAULT_BATCH >= MIN_STEPS


@rule("end", "known_loss", "plain_step")
def underfitting(facts: Facts) -> list[Finding]:
    """A model underfits if it has converged far above what a simple model reaches.

    A hidden layer of at most three units, for four times as many classes, is evidence
    enough if less than half of the loss of a constant predictor was removed and no
    simple model is known. The result may even be trivial: if the few rectified units
    die, nothing passes.
    """
    training, outcome = facts.training, outcome_of(facts)
    if training is None or not training.is_over:
        return []
    losses, narrow = training.curve("loss"), _bottlenecks(facts)
    if outcome.is_trivial and not narrow:
        return []
    is_half = outcome.explained is not None and outcome.explained < 0.5
    is_narrow = bool(narrow) and is_half and not outcome.ended_well
    if len(losses) < MIN_EPOCHS or not (outcome.is_behind or is_narrow):
        return []
    is_falling = falls_in_line(outcome, len(losses))
    if is_falling or not (outcome.is_settled or narrow):
        return []
    text = f"The loss has settled at {losses[-1]:.3g}."
    evidence = [Evidence(text, epoch=len(losses) - 1), *comparison(outcome)]
    if narrow:
        width = narrow[0].kernel.fan_out
        evidence.append(
            Evidence(
                f"Layer '{narrow[0].name}' has only {width} unit{'s'[: width > 1]}, "
                f"for {facts.model.heads[0].units} output"
                f"{'s'[: facts.model.heads[0].units != 1]}."
            )
        )
    node = narrow[0] if narrow else _narrowest(facts)
    return [
        finding(
            "underfitting",
            "warning",
            f"layer '{narrow[0].name}'" if narrow else "model",
            evidence,
            _wider(node),
            "Use more units or layers, or layers that fit the kind of data.",
            picture="loss",
        )
    ]


@rule("end", "known_loss", "plain_step")
def not_learning(facts: Facts) -> list[Finding]:
    """The loss ends no better than that of a constant predictor.

    There must be at least 100 steps. If no rule knows the cause, this is said. If
    simple models are no better, the labels may be unpredictable: a hint.
    """
    training, outcome = facts.training, outcome_of(facts)
    if training is None or not training.is_over or not outcome.is_trivial:
        return []
    steps = training.total_steps
    if steps is None or steps < MIN_STEPS:
        return []
    text = (
        f"After {steps:,} steps the loss is {outcome.last:.4g}, and a constant "
        f"predictor has {outcome.trivial:.4g}."
    )
    evidence = [Evidence(text, outcome.last, outcome.trivial), *comparison(outcome)]
    outputs = facts.end.outputs if facts.end is not None else ()
    if outputs and all(np.isfinite(one).all() for one in outputs):
        spread = max(float(one.std(axis=0).max()) for one in outputs)
        text = f"Predictions differ by {spread:.1e} between examples."
        evidence.append(Evidence(text, spread))
    severity = "error"
    if not outcome.is_behind:
        severity = "hint" if outcome.ended_well else "warning"
        evidence.append(Evidence("Perhaps the labels cannot be predicted."))
    return [
        finding(
            "not_learning",
            severity,
            "model",
            evidence,
            "print(callbacks.diagnose(model, x, y, overfit=True))",
            "Try to overfit one small batch: if that fails, the model or the loss is "
            "at fault, otherwise the data or the optimizer.",
            picture="loss",
        )
    ]


@rule("end")
def tiny_batches(facts: Facts) -> list[Finding]:
    """Batches of one or two examples give noisy gradients and use hardware badly.

    Batch normalization also needs more than four examples: the error rises already with
    four (Wu & He, 2018, figure 1), and a variance of two values is one difference. It
    is a warning if a simple model does better, or if statistics of one or two examples
    are used and the result is not good.
    """
    data = facts.data
    has_statistics = any(one.kind == "BatchNormalization" for one in facts.model.layers)
    limit = TINY_BATCH_OF_STATISTICS if has_statistics else TINY_BATCH
    if data is None or data.batch_size is None or data.batch_size > limit:
        return []
    if _size(facts) < LARGE_DATA:
        return []
    outcome = outcome_of(facts)
    is_noisy = has_statistics and data.batch_size <= TINY_BATCH
    is_bad = is_over(facts) and (
        outcome.is_behind or (is_noisy and not outcome.is_good)
    )
    text = f"The batch size is {data.batch_size}, for {_size(facts):,} examples."
    return [
        finding(
            "unfit_batch_size",
            "warning" if is_bad else "hint",
            "argument `batch_size`",
            [Evidence(text, data.batch_size, limit), *comparison(outcome)],
            advice.fit_with(facts, batch_size=DEFAULT_BATCH),
        )
    ]


def _bottlenecks(facts: Facts) -> list[Node]:
    """Returns dense layers of one to three units, for at least four times the classes.

    Autoencoders and embeddings are narrow on purpose, so only classifiers are judged. A
    single rectified unit is narrow for any output: it passes one sign, and can die.
    """
    graph, heads = facts.model.graph, facts.model.heads
    loss = facts.model.losses[0]
    if graph is None or len(heads) != 1:
        return []
    has_classes = loss.is_sparse or loss.is_categorical
    units = (heads[0].units or 0) if has_classes else 0
    nodes = [graph.nodes[i] for i in graph.hidden()]
    dense = [one for one in nodes if one.kind == "Dense" and one.has_kernel]
    rectified = [one.name for one in hidden_with(graph, RECTIFIED)]
    return [
        one
        for one in dense
        if (one.kernel.fan_out <= NARROW and 4 * one.kernel.fan_out <= units)
        or (one.kernel.fan_out == 1 and one.name in rectified)
    ]


def _narrowest(facts: Facts) -> Node | None:
    """Returns the hidden dense layer with the fewest units, if there is one."""
    graph = facts.model.graph
    nodes = [graph.nodes[i] for i in graph.hidden()] if graph is not None else []
    dense = [one for one in nodes if one.kind == "Dense" and one.has_kernel]
    return min(dense, key=lambda one: one.kernel.fan_out, default=None)


def _wider(node: Node | None) -> str:
    """Returns a layer with four times the units, at least 64."""
    if node is None:
        return "keras.layers.Dense(128, activation='relu')"
    is_linear = node.activation in ("linear", None)
    activation = "relu" if is_linear else node.activation
    units, name = max(64, 4 * node.kernel.fan_out), node.name.rpartition("/")[2]
    return f"keras.layers.Dense({units}, activation={activation!r}, name={name!r})"


def _size(facts: Facts) -> int:
    """Returns the number of examples, or a lower bound, or 0 if it is unknown."""
    if facts.data is None:
        return 0
    if facts.data.size is not None or facts.training is None:
        return facts.data.size or 0
    # A batch of unknown size has filled the whole sample.
    batch_size = facts.data.batch_size or min(MAX_EXAMPLES, facts.data.examples)
    return (facts.training.steps_per_epoch or 0) * batch_size


RULES = (too_few_steps, underfitting, not_learning, tiny_batches)
