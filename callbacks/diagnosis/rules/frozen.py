"""Rules on weights that are not trainable, or that get no gradient."""

import math

from ..facts import Facts
from ..finding import Finding, finding
from ..reading.graph import Graph, Node
from .hidden import graph_of, layer_of, path_of
from .outputs import outputs_of
from .rule import rule

# Unused heads, such as the pooler of a pretrained encoder, hold few of the parameters.
SHARE = 0.1


@rule("model", "plain_step")
def nothing_trainable(facts: Facts) -> list[Finding]:
    """Without a trainable weight, no step changes anything."""
    model = facts.model
    if model.num_trainable or not model.num_parameters:
        return []
    return [
        finding(
            "frozen_weights",
            "error",
            "model",
            f"None of the {model.num_parameters:,} parameters is trainable.",
            "model.trainable = True",
            "Compile again after changing `trainable`.",
        )
    ]


@rule("model", "graph", "known_loss", "plain_step", is_risk=True)
def frozen_initial_weights(facts: Facts) -> list[Finding]:
    """Freezing makes sense for trained weights, not for random initial ones.

    Only frozen layers that feed trained ones are judged, as in transfer learning: the
    frozen discriminator of a generative model comes after the trained layers, and a
    teacher is beside them. Random features are possible but rare.
    """
    if not facts.model.num_trainable:
        return []
    graph = graph_of(facts)
    frozen = [
        node
        for i, node in enumerate(graph.nodes)
        if node.has_kernel
        and not node.kernel.trainable
        and node.kernel.looks_initial
        and _feeds_trained(graph, i)
    ]
    if not frozen:
        return []
    names = ", ".join(node.name for node in frozen[:4])
    outer = [path_of(facts, node.name).partition("/")[0] for node in frozen]
    outer = list(dict.fromkeys(outer))
    return [
        finding(
            "frozen_weights",
            "warning",
            f"layer '{frozen[0].name}'",
            f"The weights of {len(frozen)} frozen layer{'s'[: len(frozen) > 1]} "
            f"({names}) are still the random initial ones.",
            f"model.get_layer({outer[0]!r}).trainable = True"
            if len(outer) == 1
            else f"for name in {outer!r}: model.get_layer(name).trainable = True",
            "Or load trained weights before freezing; compile again afterwards.",
        )
    ]


@rule("model", "graph")
def frozen_head(facts: Facts) -> list[Finding]:
    """A frozen output layer keeps its own idea of the classes."""
    if not facts.model.num_trainable:
        return []
    return [
        finding(
            "frozen_weights",
            "hint",
            f"layer '{output.head.layer}'",
            "The output layer is frozen, while other layers are trained.",
            f"model.get_layer({output.head.layer!r}).trainable = True",
        )
        for output in outputs_of(facts)
        if output.head.node is not None
        and output.head.node.has_kernel
        and not output.head.node.kernel.trainable
    ]


@rule("end", "plain_step")
def no_gradient(facts: Facts) -> list[Finding]:
    """A trainable kernel without a gradient is not connected to the loss.

    Its gradient must be missing in all records, of which there must be at least two.
    Between an input and an output with a loss, some operation cuts the gradient. Layers
    that are not used at all are a fault if they hold much of the model; outputs without
    a loss, and small unused heads, are common and only worth a hint.
    """
    training = facts.training
    if training is None or (~training.skipped).sum() < 2 or _has_dead_layer(facts):
        return []
    missing = [i for i in training.kernels if training.missing_gradients[i]]
    if not missing or len(missing) == len(training.kernels):
        return []
    names = [training.variables[i] for i in missing]
    cut = [one for one in names if _reaches_loss(facts, layer_of(one))]
    sizes = [math.prod(shape) for shape in training.shapes]
    unused = [i for i in missing if _node_of(facts, training.variables[i]) is None]
    share = sum(sizes[i] for i in unused) / max(1, sum(sizes))
    name = cut[0] if cut else names[0]
    number = (~training.skipped).sum()
    return [
        finding(
            "frozen_weights",
            "warning" if cut or share > SHARE else "hint",
            f"variable '{name}'",
            f"{len(names)} trainable kernel{'s'[: len(names) > 1]} "
            f"({', '.join(names[:3])}) got no gradient in {number} records: the loss "
            "does not depend on them.",
            f"x = model.get_layer({name.partition('/')[0]!r})(x)  # in `call`",
            "Check that no operation such as argmax or rounding cuts the gradient.",
            picture="gradients",
        )
    ]


def _feeds_trained(graph: Graph, index: int) -> bool:
    """Returns whether a later layer on the path to an output is trained."""
    pending, seen = graph.consumers(index), set()
    while pending:
        one = pending.pop()
        if one in seen:
            continue
        seen.add(one)
        node = graph.nodes[one]
        if node.has_kernel and node.kernel.trainable:
            return True
        pending += graph.consumers(one)
    return False


def _node_of(facts: Facts, variable: str) -> Node | None:
    graph = facts.model.graph
    nodes = graph.nodes if graph is not None else ()
    parts = variable.split("/")
    return next((one for one in nodes if one.name in parts), None)


def _reaches_loss(facts: Facts, layer: str) -> bool:
    """Returns whether a layer is on a path to an output with a known loss."""
    graph = facts.model.graph
    if graph is None or len(facts.model.losses) != len(graph.outputs):
        return False
    pairs = zip(graph.outputs, facts.model.losses, strict=True)
    pending = [index for index, loss in pairs if loss.name is not None]
    seen: set[int] = set()
    while pending:
        index = pending.pop()
        if index not in seen:
            seen.add(index)
            pending += graph.nodes[index].inputs
    return any(graph.nodes[index].name in layer.split("/") for index in seen)


def _has_dead_layer(facts: Facts) -> bool:
    """Returns whether a layer is zero for all examples, which stops all gradients.

    On JAX, such gradients and missing ones are both zero.
    """
    layers = facts.end.layers if facts.end is not None else ()
    return any(one.is_activation and one.dead == 1 for one in layers)


RULES = (nothing_trainable, frozen_initial_weights, frozen_head, no_gradient)
