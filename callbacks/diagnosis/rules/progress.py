"""Rules on training that ends too early, too high, or nowhere."""

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import Outcome, outcome_of
from ..reading.graph import Node
from ..run.pass_facts import MAX_EXAMPLES
from .rule import rule

# An exponential that ran for three time constants makes 9 % of its progress in the last
# third; a straight line makes 33 %.
LATE_SHARE = 0.25
LATE_GAIN = 0.05  # of the trivial loss, so that the progress matters
MIN_STEPS = 100  # fewer cannot show that nothing is learned
FEW_BATCHES = 4  # steps in an epoch: the batch size is a quarter of the data or more
LARGE_DATA = 256  # examples, of which batches of 32 would give 8 steps
PLATEAU = 0.02  # of the loss, in the last third
CREEPING = 0.1
TINY_BATCH = 2


@rule("end")
def too_few_steps(facts: Facts) -> list[Finding]:
    """Training ended too early if the loss was still falling almost linearly.

    The last third of at least three epochs makes a quarter of the whole progress, the
    validation loss falls with it, and less than 90 % is explained. If a batch is a
    quarter of the data or more, the batch size leaves too few steps.
    """
    training = facts.training
    if training is None or not training.is_over:
        return []
    outcome = outcome_of(facts)
    losses = training.curve("loss")
    is_bad = outcome.is_poor or outcome.could_be_better
    if len(losses) < 3 or not np.isfinite(losses).all() or outcome.is_good:
        return []
    late = _late_share(outcome, losses)
    validation = training.curve("val_loss")
    start = len(losses) - max(1, len(losses) // 3) - 1
    if late is None or late < LATE_SHARE or not is_bad:
        return []
    if len(validation) == len(losses) and validation[-1] >= validation[start]:
        return []
    if outcome.trivial and losses[start] - losses[-1] < LATE_GAIN * outcome.trivial:
        return []
    evidence = [
        Evidence(
            f"The last third of {len(losses)} epochs made {late:.0%} of the progress: "
            f"the loss fell from {losses[start]:.3g} to {losses[-1]:.3g}.",
            late,
            LATE_SHARE,
            epoch=len(losses) - 1,
        )
    ]
    steps = training.steps_per_epoch
    if steps is not None and steps <= FEW_BATCHES and _size(facts) >= LARGE_DATA:
        evidence.append(
            Evidence(f"There are only {steps} steps in an epoch.", steps, FEW_BATCHES)
        )
        return [
            finding(
                "unfit_batch_size",
                "warning",
                "argument `batch_size`",
                evidence,
                "model.fit(x, y, batch_size=32)",
                f"Or train for more than {len(losses)} epochs.",
                picture="loss",
            )
        ]
    return [
        finding(
            "too_few_steps",
            "warning",
            "argument `epochs`",
            evidence,
            f"model.fit(x, y, epochs={5 * len(losses)})",
            "Stop with callbacks.EarlyStopping when the validation loss rises.",
            picture="loss",
        )
    ]


@rule("end")
def underfitting(facts: Facts) -> list[Finding]:
    """A model underfits if it has converged far below what a simple model reaches.

    The last third of the epochs has changed the loss by less than 2 %, and the score on
    the training data is at least 0.1 below that of a linear model, a forest or nearest
    neighbors on held-out examples. A hidden layer with at most a quarter as many units
    as there are classes is evidence enough, unless the run ends well; its loss may
    still creep, by up to 10 %.
    """
    training = facts.training
    if training is None or not training.is_over:
        return []
    outcome = outcome_of(facts)
    losses = training.curve("loss")
    narrow = _bottlenecks(facts)
    is_known = outcome.could_be_better or (narrow and not outcome.is_good)
    if len(losses) < 5 or not is_known or outcome.is_trivial:
        return []
    start = len(losses) - max(1, len(losses) // 3) - 1
    limit = CREEPING if narrow else PLATEAU
    if losses[start] - losses[-1] > limit * abs(losses[start]):
        return []
    where = f"layer '{narrow[0].name}'" if narrow else "model"
    evidence = [
        Evidence(f"The loss has settled at {losses[-1]:.3g}.", epoch=len(losses) - 1)
    ]
    if outcome.could_be_better:
        evidence.append(
            Evidence(
                f"The score on the training data is {outcome.score:.2f}, while a "
                f"simple model reaches {outcome.possible:.2f} on held-out examples.",
                outcome.score,
                outcome.possible,
            )
        )
    if narrow:
        width = narrow[0].kernel.fan_out
        evidence.append(
            Evidence(
                f"Layer '{narrow[0].name}' has only {width} unit{'s'[: width > 1]}, "
                f"for {facts.model.heads[0].units} classes."
            )
        )
        fix = f"keras.layers.Dense(64, activation='relu', name={narrow[0].name!r})"
    else:
        fix = "keras.layers.Dense(128, activation='relu')"
    return [
        finding(
            "underfitting",
            "warning",
            where,
            evidence,
            fix,
            "Use more units or layers, or layers that fit the kind of data.",
            picture="loss",
        )
    ]


@rule("end")
def not_learning(facts: Facts) -> list[Finding]:
    """The loss ends no better than that of a constant predictor.

    There must be at least 100 steps. If no rule knows the cause, this is said.
    """
    training = facts.training
    if training is None or not training.is_over:
        return []
    outcome = outcome_of(facts)
    steps = training.total_steps
    if not outcome.is_trivial or steps is None or steps < MIN_STEPS:
        return []
    evidence = [
        Evidence(
            f"After {steps:,} steps the loss is {outcome.last:.4g}, and a constant "
            f"predictor has {outcome.trivial:.4g}.",
            outcome.last,
            outcome.trivial,
        )
    ]
    outputs = facts.end.outputs if facts.end is not None else ()
    if outputs and all(np.isfinite(one).all() for one in outputs):
        spread = max(float(one.std(axis=0).max()) for one in outputs)
        evidence.append(
            Evidence(f"Predictions differ by {spread:.1e} between examples.", spread)
        )
    return [
        finding(
            "not_learning",
            "error",
            "model",
            evidence,
            "print(diagnose(model, x, y, overfit=True))",
            "Try to overfit one small batch: if that fails, the model or the loss is "
            "at fault, otherwise the data or the optimizer.",
            picture="loss",
        )
    ]


@rule("end")
def tiny_batches(facts: Facts) -> list[Finding]:
    """Batches of one or two examples give noisy gradients and use hardware badly.

    It is a warning only if a simple model does much better.
    """
    data, training = facts.data, facts.training
    if data is None or data.batch_size is None or data.batch_size > TINY_BATCH:
        return []
    if _size(facts) < LARGE_DATA:
        return []
    outcome = outcome_of(facts)
    is_bad = training is not None and outcome.could_be_better
    return [
        finding(
            "unfit_batch_size",
            "warning" if is_bad else "hint",
            "argument `batch_size`",
            Evidence(
                f"The batch size is {data.batch_size}, for {_size(facts):,} examples.",
                data.batch_size,
                TINY_BATCH,
            ),
            "model.fit(x, y, batch_size=32)",
        )
    ]


def _bottlenecks(facts: Facts) -> list[Node]:
    """Returns hidden layers with far fewer units than there are classes to tell apart.

    Autoencoders and embeddings are narrow on purpose, so only classifiers are judged.
    """
    graph, heads = facts.model.graph, facts.model.heads
    loss = facts.model.losses[0]
    if graph is None or len(heads) != 1 or not (loss.is_sparse or loss.is_categorical):
        return []
    nodes = [graph.nodes[i] for i in graph.hidden()]
    units = heads[0].units or 0
    return [one for one in nodes if one.has_kernel and 4 * one.kernel.fan_out <= units]


def _late_share(outcome: Outcome, losses: np.ndarray) -> float | None:
    """Returns the share of the whole progress that the last third has made."""
    first = max(losses[0], outcome.first or losses[0])
    total = first - losses[-1]
    start = len(losses) - max(1, len(losses) // 3) - 1
    return float((losses[start] - losses[-1]) / total) if total > 0 else None


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
