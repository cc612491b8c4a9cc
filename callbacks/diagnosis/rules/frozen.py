"""Rules on weights that are not trainable."""

from ..facts import Facts
from ..finding import Finding, finding
from .outputs import outputs_of
from .rule import rule


@rule("model")
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


@rule("model")
def frozen_initial_weights(facts: Facts) -> list[Finding]:
    """Freezing makes sense for trained weights, not for random initial ones.

    Kernels are recognized as untrained by the exact limits and the kurtosis of Keras'
    default initializer, which training does not keep. Random features are possible but
    rare, so this is a warning.
    """
    graph = facts.model.graph
    if graph is None or not facts.model.num_trainable:
        return []
    frozen = [
        node
        for node in graph.nodes
        if node.has_kernel and not node.kernel.trainable and node.kernel.looks_initial
    ]
    if not frozen:
        return []
    names = ", ".join(node.name for node in frozen[:4])
    return [
        finding(
            "frozen_weights",
            "warning",
            f"layer '{frozen[0].name}'",
            f"The weights of {len(frozen)} frozen layer{'s'[: len(frozen) > 1]} "
            f"({names}) are still the random initial ones.",
            f"model.get_layer({frozen[0].name!r}).trainable = True",
            "Or load trained weights before freezing; compile again afterwards.",
        )
    ]


@rule("model")
def frozen_head(facts: Facts) -> list[Finding]:
    """A frozen output layer keeps its own idea of the classes."""
    graph = facts.model.graph
    if graph is None or not facts.model.num_trainable:
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
        and not output.head.node.kernel.looks_initial
    ]


RULES = (
    nothing_trainable,
    frozen_initial_weights,
    frozen_head,
)
