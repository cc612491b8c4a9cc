"""The first kernels that the inputs of a model reach."""

from ..data.data_facts import InputFacts
from ..facts import Facts
from ..reading.graph import Graph, Node

SUMS = ("Add", "Average", "Concatenate", "Subtract")


def first_layers(
    facts: Facts, *, normalized: bool = False
) -> list[tuple[InputFacts, Node]]:
    """Returns the inputs of numbers, each with the first kernel that needs a scale.

    Args:
        facts: What is known.
        normalized: Whether kernels that a normalization follows are included. Defaults
            to `False`.
    """
    data, graph = facts.data, facts.model.graph
    if data is None or graph is None or len(graph.inputs) != len(data.inputs):
        return []
    found = []
    for one, index in zip(data.inputs, graph.inputs, strict=True):
        first = None if index is None else _first_layer(graph, index, normalized)
        if one.is_number and first is not None:
            found.append((one, graph.nodes[first]))
    return found


def _first_layer(graph: Graph, index: int, normalized: bool) -> int | None:
    """Returns the first kernel after an input if the scale of the input matters there.

    The search follows all branches, and passes through a concatenation. It leaves out
    frozen kernels, those with a normalization before or, unless `normalized`, after
    them, and paths through layers that are unknown.
    """
    pending, seen = [index], set()
    while pending:
        for following in graph.consumers(pending.pop(0)):
            node = graph.nodes[following]
            if following in seen:
                continue
            seen.add(following)
            if node.role in ("kernel", "recurrent"):
                is_judged = normalized or not _is_normalized_after(graph, following)
                if node.trainable and is_judged:
                    return following
            elif _keeps_scale(node):
                pending.append(following)
    return None


def _keeps_scale(node: Node) -> bool:
    if node.kind == "Normalization":
        return not node.options.get("adapted")
    if node.role == "activation":
        return node.activation in ("linear", "relu")
    passed = ("linear", "dropout", "pool")
    return node.role in passed or node.kind == "Concatenate"


def _is_normalized_after(graph: Graph, index: int) -> bool:
    """Returns whether a normalization follows a kernel on all paths to the next ones.

    The result is also `True` if this is unknown.
    """
    pending, seen = [index], set()
    while pending:
        one = pending.pop()
        if one in graph.outputs:
            return False
        for following in graph.consumers(one):
            node = graph.nodes[following]
            if node.role in ("kernel", "recurrent"):
                return False
            is_passed = node.role not in ("normalization", "unknown", "embedding")
            is_passed = is_passed and (node.role != "merge" or node.kind in SUMS)
            if is_passed and following not in seen:
                seen.add(following)
                pending.append(following)
    return True
