"""Rules on the initial weights. They judge only models that were never trained."""

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..reading.graph import Node
from ..run.trivial import uniform_loss
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
MIN_FAN_IN = 8  # a few large weights of a small layer are no pattern
RECTIFIED = ("relu", "relu6")


@rule("model")
def equal_units(facts: Facts) -> list[Finding]:
    """Units with equal weights get equal gradients as long as the next layer agrees.

    Zeros before a ReLU pass no gradient at all. Zeros at the end of a residual branch
    and in the output layer are common and harmless, and are not judged.
    """
    graph = facts.model.graph
    if graph is None or not _is_new(facts):
        return []
    indices = [i for i in graph.hidden() if not _ends_branch(graph, i)]
    hidden = [graph.nodes[i] for i in indices]
    equal = [node for node in hidden if node.has_kernel and node.kernel.equal_units]
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
    names = ", ".join(node.name for node in equal[:4])
    what = "zero" if equal[0].kernel.is_zero else "equal in all units"
    return [
        finding(
            "bad_initialization",
            "error" if is_dead or stays else "warning",
            f"layer '{equal[0].name}'",
            f"The initial weights of {len(equal)} hidden layer"
            f"{'s'[: len(equal) > 1]} ({names}) are {what}.",
            _layer_code(equal[0]),
            picture="weights",
        )
    ]


@rule("model", is_risk=True)
def large_weights(facts: Facts) -> list[Finding]:
    """Large weights saturate units and make the first logits, and the loss, huge.

    A normalization after the layer removes the scale, so such layers are not judged.
    """
    graph, start = facts.model.graph, facts.start
    if graph is None or not _is_new(facts):
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
            _layer_code(worst),
            picture="weights",
        )
    ]


@rule("model", is_risk=True)
def small_weights(facts: Facts) -> list[Finding]:
    """Small weights shrink the signal in every layer, and the gradient likewise.

    A normalization or residual connection restores the scale. The output layer may be
    small.
    """
    graph = facts.model.graph
    if graph is None or not _is_new(facts):
        return []
    nodes = [
        graph.nodes[i]
        for i in graph.hidden()
        if graph.nodes[i].has_kernel
        and not graph.nodes[i].kernel.is_zero
        and not graph.is_normalized_after(i)
        and not _ends_branch(graph, i)
    ]
    if any(node.role == "merge" for node in graph.nodes) or not nodes:
        return []
    product = float(np.prod([min(1.0, node.kernel.gain) for node in nodes]))
    if product >= SMALL_PRODUCT:
        return []
    smallest = min(nodes, key=lambda node: node.kernel.gain)
    return [
        finding(
            "bad_initialization",
            "warning",
            f"layer '{smallest.name}'",
            Evidence(
                f"The initial weights of {len(nodes)} hidden layers scale the signal "
                f"by {product:.1e} together.",
                product,
                SMALL_PRODUCT,
            ),
            _layer_code(smallest),
            picture="weights",
        )
    ]


def _is_new(facts: Facts) -> bool:
    return facts.model.optimizer.iterations == 0 and not facts.model.has_own_step


def _ends_branch(graph, index: int) -> bool:
    """Returns whether the output of a layer is added to or multiplied with others."""
    while True:
        following = graph.consumers(index)
        if len(following) != 1:
            return bool(following)
        (index,) = following
        role = graph.nodes[index].role
        if role in ("merge", "unknown"):
            return True
        if role in ("kernel", "recurrent", "embedding"):
            return False


def _layer_code(node: Node) -> str:
    size = node.options.get("units", node.options.get("filters"))
    is_rectified = node.activation in (*RECTIFIED, "leaky_relu", "elu", "gelu", "silu")
    initializer = "he_normal" if is_rectified else "glorot_uniform"
    more = ", ..." if node.kind != "Dense" else ""
    return (
        f"keras.layers.{node.kind}({size}{more}, activation={node.activation!r}, "
        f"kernel_initializer={initializer!r}, name={node.name!r})"
    )


RULES = (equal_units, large_weights, small_weights)
