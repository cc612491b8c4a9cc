"""The hidden layers of the model, as the rules on weights and units see them."""

import math
from collections.abc import Iterator

from ..facts import Facts
from ..outcome import Outcome
from ..reading.graph import Graph, Node
from . import advice

RECTIFIED = ("relu", "relu6")
OF_ACTIVATION = {"leaky_relu": "LeakyReLU", "relu": "ReLU"}


def severity_of(outcome: Outcome) -> str:
    """Returns the severity of a fault by what the run has shown.

    Learning nothing is an error, learning less than a simple model a warning. Without
    harm that can be seen, the fault is only a hint.
    """
    if outcome.is_trivial:
        return "error"
    return "warning" if outcome.is_harmed else "hint"


def graph_of(facts: Facts) -> Graph:
    """Returns the graph of the model, for rules that need it.

    Raises:
        ValueError: If the graph is unknown.
    """
    graph = facts.model.graph
    if graph is None:
        raise ValueError("The rule must need 'graph'.")
    return graph


def ends_branch(graph: Graph, index: int) -> bool:
    """Returns whether the output of a layer is added to or multiplied with others.

    Such a layer ends a residual branch, or is a gate: neither cuts off what precedes
    it.
    """
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


def hidden_with(graph: Graph, activations: tuple) -> Iterator[Node]:
    """Yields hidden layers with one of some activations, except branches and gates.

    An activation may be an argument of the layer, or a layer or operation of its own.
    """
    outer = graph.output_nodes
    for index, node in enumerate(graph.nodes):
        is_layer = index not in outer and node.role in ("kernel", "activation")
        is_wanted = is_layer and node.activation in activations
        if is_wanted and not ends_branch(graph, index):
            yield node


def with_activation(node: Node, activation: str) -> str:
    """Returns code of a layer with another activation, a string such as "relu"."""
    if node.role == "kernel":
        changes: dict[str, object] = {"activation": activation}
        if activation in RECTIFIED:
            changes["kernel_initializer"] = "he_normal"
        return advice.layer_code(node, **changes)
    if node.kind == "Activation":
        return f"keras.layers.Activation({activation!r}, name={node.name!r})"
    if node.kind in OF_ACTIVATION.values():
        return f"keras.layers.{OF_ACTIVATION[activation]}(name={node.name!r})"
    return f"x = keras.ops.{activation}(x)  # instead of {node.activation}"


def initializer_of(node: Node) -> str:
    """Returns the initializer that fits the activation of a layer."""
    is_rectified = node.activation in (*RECTIFIED, "leaky_relu", "elu", "gelu", "silu")
    return "he_normal" if is_rectified else "glorot_uniform"


def layers_code(facts: Facts, names: list[str]) -> str:
    """Returns code of a sequence of layers, given their names."""
    paths = [path_of(facts, name) for name in names]
    if all("/" not in path for path in paths):
        return f"map(model.get_layer, {paths!r})"
    calls = ["".join(f".get_layer({part!r})" for part in p.split("/")) for p in paths]
    return "[" + ", ".join(f"model{call}" for call in calls) + "]"


def path_of(facts: Facts, name: str) -> str:
    """Returns the name of a layer, after those of the inner models that contain it."""
    start = facts.start
    paths = [one.name for one in start.layers] if start is not None else []
    return next((path for path in paths if path.endswith(f"/{name}")), name)


def variables_of(facts: Facts, node: Node) -> list[int]:
    """Returns the positions of the kernels of a node among the recorded variables."""
    training = facts.training
    if training is None:
        return []
    return [
        i
        for i in training.kernels
        if training.variables[i].endswith("kernel")
        and f"/{node.name}/" in f"/{training.variables[i]}"
    ]


def rate_of(facts: Facts) -> float:
    """Returns the largest learning rate of a run, or 1e-3 if it is unknown."""
    training = facts.training
    rate = training.peak_rate if training is not None else math.nan
    if not rate > 0:
        rate = facts.model.optimizer.learning_rate or 1e-3
    return rate


def layer_of(variable: str) -> str:
    """Returns the name of the layer that owns a variable, given the variable's path."""
    return variable.rpartition("/")[0] or variable
