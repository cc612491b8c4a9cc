"""Rules on values that are NaN or infinite."""

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..run.pass_facts import PassFacts
from ..run.training_facts import TrainingFacts
from . import advice
from .hidden import rate_of
from .rule import rule

# `LossScaleOptimizer` starts with a scale of 2**15, and halves it in each step that it
# skips. From this step on, the scale cannot be the reason for skipping.
UNSCALED = 15
# Signs of divergence before the first NaN: growth of the weights, and a step that
# changes a tenth of the weights.
GROWTH = 10.0
LARGE_RATIO = 0.1
SAFE_LOG = "keras.ops.log(keras.ops.maximum(x, 1e-7))"
SAFE_ROOT = "keras.ops.sqrt(keras.ops.maximum(x, 1e-7))"
WITHOUT_NAN = (
    "keep = np.isfinite(np.reshape(x, (len(x), -1))).all(axis=1); "
    "x, y = x[keep], y[keep]"
)


@rule("first_pass")
def not_finite_at_start(facts: Facts) -> list[Finding]:
    """The first pass shows which layer produces NaN from finite inputs.

    Infinity inside the model is no fault as long as the loss is finite: attention masks
    scores with -infinity. Only the loss is judged, or the outputs if it is unknown.
    """
    start = facts.start
    if start is None or not _is_broken(start):
        return []
    source = _source_of_data(facts)
    layer = None if source else _origin(facts, start)
    where = source or (f"layer '{layer}'" if layer else "loss")
    if source:
        evidence = f"'{source}' contains NaN or infinity."
    elif layer:
        evidence = f"The outputs of '{layer}' contain NaN or infinity"
        evidence += " before the first update, and its inputs do not."
    else:
        evidence = f"The loss is {start.loss} before the first update, while all "
        evidence += "outputs are finite."
    return [
        finding(
            "not_finite",
            "error",
            where,
            Evidence(evidence, step=0),
            _fix_at_start(facts, source, layer),
            "Look for logarithms, divisions and roots of zero or negative numbers.",
            picture="loss",
        )
    ]


@rule("failure")
def not_finite_in_training(facts: Facts) -> list[Finding]:
    """The records show where NaN came first: in some gradients, or in the loss.

    The backward pass carries NaN from the operation that makes it to all earlier
    layers. If only some gradients are NaN, the operation therefore follows the last of
    their layers. Gradients that are NaN do no harm as long as weights and loss stay
    finite, as in a training step that replaces them, and neither do steps that a
    `LossScaleOptimizer` skips.
    """
    training = facts.training
    if training is None or (facts.start is not None and _is_broken(facts.start)):
        return []
    gradients, updates = _bad_records(training)
    epochs = np.flatnonzero(~np.isfinite(training.curve("loss")))
    is_broken = facts.end is not None and _is_broken(facts.end)
    if not updates.any() and not len(epochs) and not is_broken:
        return []
    evidence = []
    where = "loss"
    rows = np.flatnonzero((gradients | updates).any(axis=1))
    names: list[str] = []
    if len(rows):
        row = int(rows[0])
        bad = gradients[row] if gradients[row].any() else updates[row]
        names = [training.variables[i] for i in np.flatnonzero(bad)]
        is_part = bad.sum() < (~training.missing_gradients).sum()
        if is_part:
            kernels = [one for one in names if one.endswith("kernel")]
            where = f"gradient of '{(kernels or names)[-1]}'"
        evidence.append(
            Evidence(
                f"The gradients of {len(names)} of {len(bad)} variables are NaN or "
                f"infinite, such as '{names[-1]}'.",
                step=int(training.step[row]),
                epoch=int(training.epoch[row]),
            )
        )
    if len(epochs):
        evidence.append(Evidence("The loss is NaN or infinite.", epoch=int(epochs[0])))
    if not evidence:
        evidence.append(Evidence("The loss of the trained model is NaN or infinite."))
    first = int(rows[0]) if len(rows) else len(training.step)
    is_at_start = where != "loss" and first == 0
    fixes = (
        _fixes_at_start(names) if is_at_start else _fixes_later(facts, training, first)
    )
    return [finding("not_finite", "error", where, evidence, *fixes, picture="loss")]


@rule("end")
def all_steps_skipped(facts: Facts) -> list[Finding]:
    """In mixed precision, steps with infinite gradients are skipped.

    Some skipped steps are normal, because they find the right scale of the loss. If all
    recorded steps are skipped, and no weight has changed, then the gradients overflow
    float16 at any scale.
    """
    training = facts.training
    if training is None or len(training.step) < 2 or not training.skipped.all():
        return []
    norms = training.weight_norm
    if training.step[-1] < UNSCALED or not (norms == norms[0]).all():
        return []
    return [
        finding(
            "not_finite",
            "error",
            "gradient",
            Evidence(
                f"All {len(training.step)} recorded steps were skipped because of "
                "infinite gradients, and no weight has changed.",
                step=int(training.step[-1]),
            ),
            "keras.config.set_dtype_policy('float32')  # before the model is built",
            "Or use 'mixed_bfloat16', which has the range of float32.",
            "Scale the inputs and targets: float16 ends at 65,504.",
            picture="loss",
        )
    ]


def _is_broken(one: PassFacts) -> bool:
    """Returns whether the loss is not finite, or the outputs if there is no loss."""
    losses = [loss for loss in (one.loss, one.training_loss) if loss is not None]
    if losses:
        return not np.isfinite(losses).all()
    return any(np.isnan(output).any() for output in one.outputs)


def _source_of_data(facts: Facts) -> str:
    """Returns the name of an input or target with NaN or infinity, or `""`."""
    data = facts.data
    if data is None:
        return ""
    found = [one.name for one in data.inputs if one.non_finite]
    found += [one.name for one in data.targets if one.non_finite]
    return found[0] if found else ""


def _origin(facts: Facts, start: PassFacts) -> str | None:
    """Returns the first layer whose NaN or infinity reaches an output.

    Infinity that a later layer removes, such as a softmax over masked scores, does not
    reach an output. Operations between layers are not measured, so they count as
    passing it on.
    """
    bad = {one.name.rpartition("/")[2]: bool(one.non_finite) for one in start.layers}
    graph = facts.model.graph
    if graph is None:
        return next((name for name, is_bad in bad.items() if is_bad), None)
    reaching: set[int] = set()
    for index in reversed(range(len(graph.nodes))):
        passes_on = index in graph.outputs or any(
            one in reaching for one in graph.consumers(index)
        )
        if passes_on and bad.get(graph.nodes[index].name, True):
            reaching.add(index)
    names = [graph.nodes[index].name for index in sorted(reaching)]
    return next((name for name in names if bad.get(name)), None)


def _fix_at_start(facts: Facts, source: str, layer: str | None) -> str:
    if source:
        return WITHOUT_NAN
    if layer:
        return f"x = {SAFE_LOG}  # in or before layer '{layer}'"
    heads = facts.model.heads
    for head, loss in zip(heads, facts.model.losses[: len(heads)], strict=True):
        needs_positive = loss.name == "poisson" and head.activation == "linear"
        if needs_positive and head.node is not None:
            return advice.layer_code(head.node, activation="softplus")
    return f"x = {SAFE_LOG}  # in the loss"


def _fixes_at_start(names: list[str]) -> list[str]:
    layer = names[-1].rpartition("/")[0]
    return [
        f"x = {SAFE_ROOT}  # after layer '{layer}'",
        "The derivatives of square roots, norms and logarithms are infinite at zero.",
    ]


def _fixes_later(facts: Facts, training: TrainingFacts, first: int) -> list[str]:
    """Returns fixes of NaN that came after finite steps.

    Without a sign of divergence before it, a batch with NaN is the more likely cause.
    """
    fixes = [advice.set_rate(facts, rate_of(facts) / 10), WITHOUT_NAN]
    if first >= 3 and not _diverges(training, first):
        fixes.reverse()
    return [
        *fixes,
        "Clip gradients with `global_clipnorm=1.0`.",
        "Check custom losses for logarithms of zero.",
    ]


def _bad_records(training: TrainingFacts) -> tuple[np.ndarray, np.ndarray]:
    """Returns which gradients and updates are not finite, for each record."""
    seen = ~training.skipped[:, None] & ~np.asarray(training.missing_gradients)
    return (
        ~np.isfinite(training.gradient_norm) & seen,
        ~np.isfinite(training.update_norm) & seen,
    )


def _diverges(training: TrainingFacts, end: int) -> bool:
    """Returns whether weights or losses grew before a record."""
    weights = training.weight_norm[:end, training.kernels]
    ratio = training.ratio[1:end, training.kernels]
    with np.errstate(divide="ignore", invalid="ignore"):
        growth = weights / weights[:1]
    losses = training.curve("loss")
    losses = losses[np.isfinite(losses)]
    return bool(
        (growth > GROWTH).any()
        or (ratio > LARGE_RATIO).any()
        or (len(losses) > 1 and losses[-1] > losses[0])
    )


RULES = (not_finite_at_start, not_finite_in_training, all_steps_skipped)
