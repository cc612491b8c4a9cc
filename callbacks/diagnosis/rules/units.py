"""Rules on units that are dead, saturated or identical."""

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import outcome_of
from ..reading.graph import Node
from ..run.pass_facts import PassFacts
from .rule import rule

# ReLU layers are zero for 50 to 80 % of their outputs, and a third of the units of a
# wide layer may be dead without harm. At 90 %, a layer of 128 has 12 units left.
DEAD = 0.9
SATURATED = 0.9  # of the units, each for at least half of the examples
MIN_EXAMPLES = 64
RECTIFIED = ("relu", "relu6")
BOUNDED = ("tanh", "sigmoid", "hard_sigmoid", "hard_tanh", "softsign")


@rule("first_pass")
def dead_units(facts: Facts) -> list[Finding]:
    """A ReLU unit that is zero for every example passes no gradient back.

    A layer in which all units are dead cuts off everything before it, unless a residual
    connection passes it by. A run that ends well gives only a hint.
    """
    current = _current(facts)
    if current is None:
        return []
    found = []
    for node, layer in _hidden(facts, current, RECTIFIED):
        if not layer.dead >= DEAD or len(layer.unit_zeros) < 4:
            continue
        is_good = outcome_of(facts).is_good
        before = facts.start.layer(layer.name) if facts.start is not None else None
        evidence = [
            Evidence(
                f"{layer.dead:.0%} of the {len(layer.unit_zeros)} units are zero for "
                f"all {_size(current)} examples of the sample.",
                layer.dead,
                DEAD,
            )
        ]
        if facts.end is not None and before is not None:
            evidence.append(Evidence(f"Before training, {before.dead:.0%} were."))
        name = node.name if node is not None else layer.name
        units = len(layer.unit_zeros)
        found.append(
            finding(
                "dead_units",
                "hint" if is_good else ("error" if layer.dead == 1 else "warning"),
                f"layer '{layer.name}'",
                evidence,
                f"keras.layers.Dense({units}, activation='leaky_relu', name={name!r})",
                "Lower the learning rate or warm it up, or add normalization.",
                picture="activations",
            )
        )
    return found[:1]


@rule("end")
def dead_output(facts: Facts) -> list[Finding]:
    """A ReLU output that is zero for all examples has no gradient, and stays zero."""
    current = _current(facts)
    heads = facts.model.heads
    if current is None or len(heads) != len(current.outputs) or facts.data is None:
        return []
    found = []
    for head, values, target in zip(
        heads, current.outputs, facts.data.targets, strict=False
    ):
        is_zero = head.activation in RECTIFIED and not values.any()
        if is_zero and _size(current) >= 16 and target.values.any():
            found.append(
                finding(
                    "dead_units",
                    "error",
                    f"layer '{head.layer}'",
                    f"The output is 0 for all {_size(current)} examples of the sample.",
                    f"keras.layers.Dense({head.units}, name={head.layer!r})",
                    "Or use 'softplus', which is positive and has a gradient.",
                    picture="outputs",
                )
            )
    return found


@rule("first_pass")
def saturated_units(facts: Facts) -> list[Finding]:
    """At the bounds of tanh and sigmoid the gradient is close to zero.

    At least 90 % of the units must be within 2.5 % of a bound for at least half of the
    examples. Trained classifiers saturate some units, so a run that ends well is not
    judged, and neither are the gates of recurrent layers.
    """
    current = _current(facts)
    if current is None:
        return []
    outcome = outcome_of(facts)
    is_over = facts.end is not None
    if is_over and not (outcome.is_poor or outcome.could_be_better):
        return []
    for node, layer in _hidden(facts, current, BOUNDED):
        if not layer.saturated >= SATURATED or len(layer.unit_saturated) < 4:
            continue
        name = node.name if node is not None else layer.name
        return [
            finding(
                "saturated_units",
                "warning",
                f"layer '{layer.name}'",
                Evidence(
                    f"{layer.saturated:.0%} of the {len(layer.unit_saturated)} units "
                    "are within 2.5 % of a bound for at least half of the examples.",
                    layer.saturated,
                    SATURATED,
                ),
                f"keras.layers.Dense({len(layer.unit_saturated)}, activation='relu', "
                f"kernel_initializer='he_normal', name={name!r})",
                "Scale the inputs, use smaller initial weights, or add normalization.",
                picture="activations",
            )
        ]
    return []


@rule("end")
def symmetric_units(facts: Facts) -> list[Finding]:
    """Units with identical weights have identical gradients, and never differ.

    All units of a trained kernel must agree bit for bit, or to a millionth of their
    size.
    """
    training = facts.training
    if training is None or not training.identical_units:
        return []
    names = training.identical_units
    layer = names[0].removesuffix("/kernel")
    return [
        finding(
            "symmetric_units",
            "error",
            f"layer '{layer}'",
            f"All units of {len(names)} layer{'s'[: len(names) > 1]} "
            f"({', '.join(one.removesuffix('/kernel') for one in names[:4])}) have the "
            "same weights after training.",
            f"keras.layers.Dense(..., kernel_initializer='glorot_uniform', "
            f"name={layer.rpartition('/')[2]!r})",
            picture="weights",
        )
    ]


def _current(facts: Facts) -> PassFacts | None:
    return facts.end if facts.end is not None else facts.start


def _size(current: PassFacts) -> int:
    return len(current.sample) if current.sample is not None else 0


def _hidden(facts: Facts, current: PassFacts, activations: tuple):
    """Yields `(node, statistics)` of hidden layers with one of some activations."""
    graph = facts.model.graph
    if graph is None or _size(current) < MIN_EXAMPLES:
        return
    heads = {id(graph.nodes[i]) for i in graph.output_nodes}
    nodes: dict[str, Node] = {}
    for node in graph.nodes:
        is_own = node.role in ("kernel", "activation") and id(node) not in heads
        if is_own and node.activation in activations:
            nodes[node.name] = node
    for layer in current.layers:
        name = layer.name.rpartition("/")[2]
        if name in nodes and np.isfinite(layer.dead):
            yield nodes[name], layer


RULES = (dead_units, dead_output, saturated_units, symmetric_units)
