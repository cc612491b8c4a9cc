"""Rules on gradients that vanish or explode with depth or over time.

The sensitivity of the loss to a kernel is the product of the norms of the gradient and
of the kernel. It does not depend on the scale of the kernel, and for a network of ReLU
layers its inner product is the same in every layer, so layers can be compared.
"""

import math

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import Outcome, outcome_of
from ..reading.graph import Node
from ..run.training_facts import TrainingFacts
from . import advice
from .hidden import (
    RECTIFIED,
    graph_of,
    layer_of,
    layers_code,
    rate_of,
    severity_of,
    variables_of,
)
from .rule import rule

VANISHING = 1e-3  # sensitivity of the first kernel relative to the last
MIN_KERNELS = 4
# A kernel that moved by less than 1 % of its size is still the initial one, and its
# layer is a random projection.
STILL = 1e-2
# Relative change of the loss for a relative change of the weights: at 1,000, a change
# of the weights by 0.1 % can double the loss. At the start, 10 is common.
EXPLODING = 1e3
# The gradient of a single batch of few examples may be large by chance.
RECORDS = 3
BOUNDED = ("tanh", "sigmoid", "hard_sigmoid", "hard_tanh", "softsign")


@rule("end", "known_loss", "plain_step", "graph")
def vanishing(facts: Facts) -> list[Finding]:
    """Gradients vanish if the first kernels matter 1,000 times less than the last.

    They must do so in the first record and in the median of all records, along a path
    of at least four kernels. The harm is a run that ended badly, or first layers that
    stayed as they were drawn while the last ones moved.
    """
    training = facts.training
    if training is None or not len(training.step):
        return []
    outcome = outcome_of(facts)
    chain = _chain(facts)
    if len(chain) < MIN_KERNELS or outcome.is_good:
        return []
    kernels = [i for _, i in chain]
    ratio = _first_to_last(training, kernels)
    if not len(ratio) or max(ratio[0], np.median(ratio)) >= VANISHING:
        return []
    moved = _moved(training, kernels)
    stays = facts.model.is_new is not False and outcome.explained is not None
    stays = stays and moved[0] < STILL and moved[-1] >= 10 * STILL
    if not outcome.is_harmed and not stays:
        return []
    first, last = (training.variables[i] for i in (kernels[0], kernels[-1]))
    evidence = [
        Evidence(
            f"The loss depends on '{first}' {np.median(ratio):.1e} times as much as on "
            f"'{last}' (norm of the gradient times norm of the weights).",
            float(np.median(ratio)),
            VANISHING,
        )
    ]
    if stays:
        evidence.append(
            Evidence(
                f"During the run, '{first}' changed by {moved[0]:.1e} of its norm, and "
                f"'{last}' by {moved[-1]:.1e}.",
                float(moved[0]),
                STILL,
            )
        )
    return [
        finding(
            "vanishing_gradients",
            "error" if outcome.is_trivial else "warning",
            f"layer '{layer_of(first)}'",
            evidence + _activation_evidence(chain),
            _fix_of_chain(facts, [node for node, _ in chain]),
            "Add normalization or residual connections.",
            picture="gradients",
        )
    ]


@rule("end")
def vanishing_over_time(facts: Facts) -> list[Finding]:
    """Gradients vanish over time if the first steps matter 1,000 times less.

    The gradient with respect to the inputs of a recurrent layer is compared between the
    first and the last tenth of the steps (Pascanu et al., 2013). Where the last steps
    suffice, as for the next word, such a run ends well, so only a run that ended badly
    is judged.
    """
    outcome = outcome_of(facts)
    if facts.end is None or outcome.is_good or not outcome.is_harmed:
        return []
    vanishing = [one for one in facts.end.time_gradients if one.ratio < VANISHING]
    if not vanishing:
        return []
    worst = min(vanishing, key=lambda one: one.ratio)
    return [
        finding(
            "vanishing_gradients",
            severity_of(outcome),
            f"layer '{worst.layer}'",
            Evidence(
                f"The loss depends on the first of {worst.steps} steps "
                f"{worst.ratio:.1e} times as much as on the last ones.",
                worst.ratio,
                VANISHING,
            ),
            _shorter(facts, worst.layer),
            "Use LSTM or GRU instead of SimpleRNN, and mask padding.",
            "Shorten the sequences, or pool over time with `return_sequences=True`.",
            picture="gradients",
        )
    ]


@rule("end", "known_loss", "plain_step")
def exploding(facts: Facts) -> list[Finding]:
    """Gradients explode if a tiny relative change of the weights doubles the loss.

    The sensitivity is divided by the loss, so units of targets do not matter. It is
    that of the sample before training, or the median of three consecutive records.
    Without harm that can be seen, and with clipping, this is only a hint.
    """
    training = facts.training
    if training is None or not len(training.step):
        return []
    outcome = outcome_of(facts)
    value, name, step = max(_at_start(facts, training), _in_records(training, outcome))
    if value < EXPLODING or outcome.is_good:
        return []
    is_clipped = any("clip" in one for one in facts.model.optimizer.settings)
    is_harmful = outcome.is_harmed or _rises(training)
    lower = advice.set_rate(facts, rate_of(facts) / 10)
    clip = "model.optimizer.global_clipnorm = 1.0"
    return [
        finding(
            "exploding_gradients",
            "warning" if is_harmful and not is_clipped else "hint",
            f"gradient of '{name}'",
            Evidence(
                f"Changing '{name}' by 0.1 % can change the loss by "
                f"{value / 10:,.0f} %.",
                value,
                EXPLODING,
                step=step,
            ),
            *((lower,) if is_clipped else (clip, lower)),
            "Use smaller initial weights, or add normalization.",
            picture="gradients",
        )
    ]


def sensitivity(training: TrainingFacts) -> np.ndarray:
    """Returns the norm of the gradient times that of the weights, for each record.

    The array has the shape `(records, variables)`. Skipped steps are NaN.
    """
    values = (training.gradient_norm * training.weight_norm).astype("float64")
    values[training.skipped] = np.nan
    return values


def _chain(facts: Facts) -> list[tuple[Node, int]]:
    """Returns the feedforward layers on the deepest path, with their kernels.

    Each pair is a node and the position of its kernel among the recorded variables.
    Recurrent layers are left out, because their gradients are sums over time.
    """
    graph = graph_of(facts)
    chains: list[list] = []
    for node in graph.nodes:
        before = max((chains[i] for i in node.inputs), key=len, default=[])
        own = variables_of(facts, node) if node.role == "kernel" else []
        is_new = own and all(node.name != one.name for one, _ in before)
        chains.append([*before, (node, own[0])] if is_new else before)
    return max((chains[i] for i in graph.outputs), key=len, default=[])


def _first_to_last(training: TrainingFacts, kernels: list[int]) -> np.ndarray:
    """Returns the sensitivity of the first kernel relative to the last."""
    values = sensitivity(training)
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = values[:, kernels[0]] / values[:, kernels[-1]]
    return ratio[np.isfinite(ratio)]


def _moved(training: TrainingFacts, kernels: list[int]) -> np.ndarray:
    """Returns bounds of how far kernels moved, relative to their norms.

    The bound is the mean update ratio times the number of steps.
    """
    ratio = np.nan_to_num(training.ratio[:, kernels])
    return ratio.mean(axis=0) * (training.total_steps or 0)


def _activation_evidence(chain: list[tuple[Node, int]]) -> list[Evidence]:
    names = sorted({node.activation or "linear" for node, _ in chain[:-1]} - {"linear"})
    if not names:
        return []
    return [Evidence(f"The hidden activations are {', '.join(names)}.")]


def _fix_of_chain(facts: Facts, nodes: list[Node]) -> str:
    """Returns code that mends all hidden layers of a built model.

    Bounded activations shrink gradients in each layer, so all of them are replaced. For
    others, the scale of the initial weights is the cause.
    """
    hidden = nodes[:-1]
    bounded = [one.name for one in hidden if one.activation in BOUNDED]
    if bounded:
        layers = layers_code(facts, bounded)
        return f"for layer in {layers}: layer.activation = keras.activations.relu"
    is_rectified = any(one.activation in RECTIFIED for one in hidden)
    name = "HeNormal" if is_rectified else "GlorotUniform"
    layers = layers_code(facts, [one.name for one in hidden])
    return (
        f"for layer in {layers}: "
        f"layer.kernel.assign(keras.initializers.{name}()(layer.kernel.shape))"
    )


def _shorter(facts: Facts, layer: str) -> str:
    """Returns code of a recurrent layer through which gradients flow for longer."""
    graph = facts.model.graph
    nodes = graph.nodes if graph is not None else ()
    node = next((one for one in nodes if one.name == layer), None)
    if node is not None and node.kind == "SimpleRNN":
        units = node.options.get("units")
        more = ", return_sequences=True" if node.options.get("return_sequences") else ""
        return f"keras.layers.LSTM({units}{more}, name={layer!r})"
    return "x = keras.layers.AveragePooling1D(4)(x)  # before layer " + repr(layer)


def _at_start(facts: Facts, training: TrainingFacts) -> tuple[float, str, int]:
    """Returns the largest sensitivity of a kernel for the sample before training.

    The result is a tuple of the sensitivity relative to the loss, the name of the
    kernel and the step.
    """
    start = facts.start
    if start is None or start.loss is None or not start.gradient_norms:
        return 0.0, "", 0
    scale = abs(start.loss - start.penalty)
    if not math.isfinite(scale) or not scale:
        return 0.0, "", 0
    names = {training.variables[i] for i in training.kernels}
    values = []
    for path, gradient in start.gradient_norms.items():
        name = next((one for one in names if f"/{path}".endswith(f"/{one}")), None)
        value = gradient * start.weight_norms[path] / scale
        if name is not None and math.isfinite(value):
            values.append((float(value), name, 0))
    return max(values, default=(0.0, "", 0))


def _in_records(training: TrainingFacts, outcome: Outcome) -> tuple[float, str, int]:
    """Returns the largest median sensitivity of a kernel in consecutive records.

    The losses of the records are unknown, so that of the worst epoch stands for them.
    """
    losses = [outcome.first, *training.curve("loss")]
    scale = [abs(one) for one in losses if one is not None and math.isfinite(one)]
    values = sensitivity(training)[:, training.kernels]
    values = np.where(np.isfinite(values), values, 0.0)
    if not scale or not max(scale) or len(values) < RECORDS or not values.size:
        return 0.0, "", 0
    windows = np.lib.stride_tricks.sliding_window_view(values, RECORDS, axis=0)
    medians = np.median(windows, axis=-1)
    row, column = np.unravel_index(medians.argmax(), medians.shape)
    name = training.variables[training.kernels[column]]
    return float(medians[row, column]) / max(scale), name, int(training.step[row])


def _rises(training: TrainingFacts) -> bool:
    """Returns whether the loss became NaN, or ended above its start."""
    losses = training.curve("loss")
    return len(losses) > 0 and not (losses[-1] <= losses[0])


RULES = (vanishing, vanishing_over_time, exploding)
