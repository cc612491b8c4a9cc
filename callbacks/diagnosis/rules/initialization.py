"""Rules on the initial weights. They judge only models that were never trained."""

import math

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import outcome_of
from ..reading.graph import Kernel, Node
from ..run.trivial import uniform_loss
from . import advice
from .hidden import RECTIFIED, ends_branch, graph_of, initializer_of
from .rule import rule

# A gain is rms * sqrt(fan_in). Glorot, He, LeCun and orthogonal initializers have gains
# up to sqrt(2), and normal(0.05) with 10,000 inputs has 5.
LARGE_GAIN = 6.0
# With a smaller gain, a first loss that is far too large must confirm the finding.
SUSPICIOUS_GAIN = 2.5
LARGE_LOSS = 4.0  # times the loss of equal probabilities
# The signal, and with it the gradient of the first layer, shrinks by the product of the
# gains. Adam rescales gradients, but not by more than its epsilon allows.
SMALL_PRODUCT = 1e-3
# The signal of dense layers grows by the product of the gains, of which a ReLU passes
# half of the squares. A thousandfold output makes the first loss a million times as
# large.
LARGE_PRODUCT = 1e3
UNBOUNDED = (*RECTIFIED[:1], "leaky_relu", "elu", "gelu", "silu", "linear", "selu")
MIN_FAN_IN = 8  # a few large weights of a small layer are no pattern


@rule("model", "graph", "plain_step")
def equal_units(facts: Facts) -> list[Finding]:
    """Units with equal weights get equal gradients as long as the next layer agrees.

    Zeros before a ReLU pass no gradient at all. Zeros at the end of a residual branch
    and in the output layer are common and harmless, and are not judged. Frozen layers
    with equal units, such as a blur, are not meant to learn.
    """
    graph = graph_of(facts)
    if not _is_new(facts):
        return []
    indices = [i for i in graph.hidden() if not ends_branch(graph, i)]
    hidden = [graph.nodes[i] for i in indices]
    equal = [one for one in hidden if one.kernel.equal_units and one.kernel.trainable]
    if not equal:
        return []
    heads = [head.node for head in facts.model.heads if head.node is not None]
    followers = [*hidden[hidden.index(equal[0]) + 1 :], *heads]
    is_dead = any(
        graph.nodes[i] in equal
        and graph.nodes[i].kernel.is_zero
        and graph.applied_activation(i) in RECTIFIED
        for i in indices
    )
    stays = any(
        node.has_kernel and (node.kernel.equal_units or node.kernel.is_zero)
        for node in followers
    )
    severity = "error" if is_dead or stays else "warning"
    names = ", ".join(node.name for node in equal[:4])
    what = "zero" if equal[0].kernel.is_zero else "equal in all units"
    return [
        finding(
            "bad_initialization",
            "hint" if _has_recovered(facts) else severity,
            f"layer '{equal[0].name}'",
            f"The initial weights of {len(equal)} hidden layer"
            f"{'s'[: len(equal) > 1]} ({names}) are {what}.",
            _with_initializer(equal[0]),
            "Use random initial weights in all hidden layers.",
            picture="weights",
        )
    ]


@rule("model", "graph", "plain_step", is_risk=True)
def large_weights(facts: Facts) -> list[Finding]:
    """Large weights saturate units and make the first logits, and the loss, huge.

    A normalization after the layer removes the scale, so such layers are not judged.
    """
    graph, start = graph_of(facts), facts.start
    if not _is_new(facts):
        return []
    judged = [
        node
        for i, node in enumerate(graph.nodes)
        if node.has_kernel
        and node.kernel.trainable
        and node.kernel.fan_in >= MIN_FAN_IN
        and not node.kernel.equal_units  # a finding of its own
        and not graph.is_normalized_after(i)
    ]
    if not judged:
        return []
    worst = max(judged, key=lambda node: node.kernel.gain)
    gain = worst.kernel.gain
    evidence = [
        Evidence(
            f"The root mean square of the initial weights is {worst.kernel.rms:.3g}, "
            f"{gain:.1f} times 1 / sqrt(fan-in).",
            gain,
            LARGE_GAIN,
        )
    ]
    first = None if start is None or start.loss is None else start.loss - start.penalty
    expected = (
        uniform_loss(facts.model.losses[0], facts.model.heads[0].units)
        if (len(facts.model.heads) == 1)
        else None
    )
    limit = LARGE_GAIN
    if first is not None and expected is not None and first > LARGE_LOSS * expected:
        limit = SUSPICIOUS_GAIN
        evidence.append(
            Evidence(
                f"The first loss is {first:.3g}, while equal probabilities would give "
                f"{expected:.3g}.",
                first,
                LARGE_LOSS * expected,
            )
        )
    if gain < limit:
        return []
    return [
        finding(
            "bad_initialization",
            "warning",
            f"layer '{worst.name}'",
            evidence,
            _with_initializer(worst),
            "Use a default initializer in all layers.",
            picture="weights",
        )
    ]


@rule("model", "graph", "plain_step", is_risk=True)
def growing_signal(facts: Facts) -> list[Finding]:
    """Weights that are somewhat large in each of many layers let the signal explode.

    Only activations without an upper bound let it grow. A normalization or residual
    connection may restore the scale.
    """
    graph = graph_of(facts)
    if not _is_new(facts) or any(node.role == "merge" for node in graph.nodes):
        return []
    product, worst = 1.0, None
    for i in graph.hidden():
        node, activation = graph.nodes[i], graph.applied_activation(i)
        is_judged = node.has_kernel and node.kernel.fan_in >= MIN_FAN_IN
        if not is_judged or graph.is_normalized_after(i):
            continue
        if activation not in UNBOUNDED:
            return []
        half = math.sqrt(0.5) if activation in RECTIFIED else 1.0
        product *= max(1.0, half * node.kernel.gain)
        if worst is None or node.kernel.gain > worst.kernel.gain:
            worst = node
    if worst is None or product < LARGE_PRODUCT:
        return []
    return [
        finding(
            "bad_initialization",
            "warning",
            f"layer '{worst.name}'",
            Evidence(
                f"The initial weights let the signal grow by a factor of {product:.1e} "
                "up to the last layer.",
                product,
                LARGE_PRODUCT,
            ),
            _with_initializer(worst),
            "Use a default initializer in all layers.",
            picture="weights",
        )
    ]


@rule("end", "records", "graph", "plain_step", is_risk=True)
def large_recurrent_weights(facts: Facts) -> list[Finding]:
    """Large recurrent weights saturate the gates, or let the state explode."""
    training, graph = facts.training, graph_of(facts)
    if training is None or training.step[0] != 0 or not _is_new(facts):
        return []
    found = []
    for node in graph.nodes:
        path = f"/{node.name}/"
        for i, name in enumerate(training.variables):
            if path not in f"/{name}" or not name.endswith("recurrent_kernel"):
                continue
            units, size = training.shapes[i][0], math.prod(training.shapes[i])
            gain = float(training.weight_norm[0, i]) * math.sqrt(units / size)
            if units < MIN_FAN_IN or not gain > LARGE_GAIN:
                continue
            text = (
                f"The initial recurrent weights are {gain:.1f} times 1 / sqrt(units)."
            )
            found.append(
                finding(
                    "bad_initialization",
                    "warning",
                    f"layer '{node.name}'",
                    Evidence(text, gain, LARGE_GAIN, step=0),
                    advice.layer_code(
                        node,
                        kernel_initializer="glorot_uniform",
                        recurrent_initializer="orthogonal",
                    ),
                    "Use a default initializer in all layers.",
                    picture="weights",
                )
            )
    return found


@rule("model", "graph", "plain_step", is_risk=True)
def small_weights(facts: Facts) -> list[Finding]:
    """Small weights shrink the signal in every layer, and the gradient likewise.

    Each gain is compared with that of the default initializer, which is itself small
    where a layer widens. A normalization or residual connection restores the scale. The
    output layer may be small.
    """
    graph = graph_of(facts)
    if not _is_new(facts):
        return []
    nodes = [
        graph.nodes[i]
        for i in graph.hidden()
        if graph.nodes[i].has_kernel
        and graph.nodes[i].kernel.trainable
        and not graph.nodes[i].kernel.is_zero
        and not graph.is_normalized_after(i)
        and not ends_branch(graph, i)
    ]
    if any(node.role == "merge" for node in graph.nodes) or not nodes:
        return []
    product = math.prod(min(1.0, _relative_gain(node.kernel)) for node in nodes)
    if product >= SMALL_PRODUCT:
        return []
    smallest = min(nodes, key=lambda node: _relative_gain(node.kernel))
    return [
        finding(
            "bad_initialization",
            "warning",
            f"layer '{smallest.name}'",
            Evidence(
                f"The initial weights of {len(nodes)} hidden layer"
                f"{'s'[: len(nodes) > 1]} scale the signal by {product:.1e}, compared "
                "with the default initializer.",
                product,
                SMALL_PRODUCT,
            ),
            _with_initializer(smallest),
            "Use a default initializer in all layers.",
            picture="weights",
        )
    ]


def _is_new(facts: Facts) -> bool:
    """Returns whether the weights may be initial ones.

    The optimizer of a loaded model that is compiled again has made no step either.
    """
    return facts.model.optimizer.iterations == 0 and facts.model.is_new is not False


def _has_recovered(facts: Facts) -> bool:
    """Returns whether a run has ended without harm of equal units."""
    training = facts.training
    if training is None or not training.is_over:
        return False
    outcome = outcome_of(facts)
    return outcome.is_good or not (outcome.is_harmed or training.identical_units)


def _relative_gain(kernel: Kernel) -> float:
    """Returns the gain, divided by that of Glorot's initializer for the same fans."""
    return kernel.rms / math.sqrt(2 / (kernel.fan_in + kernel.fan_out))


def _with_initializer(node: Node) -> str:
    return advice.layer_code(node, kernel_initializer=initializer_of(node))


RULES = (
    equal_units,
    large_weights,
    growing_signal,
    large_recurrent_weights,
    small_weights,
)
