"""Rules on units that are dead, saturated or identical."""

from collections.abc import Iterator

import keras
import numpy as np

from ...monitors.layer_statistics import LayerStatistics
from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import outcome_of
from ..reading.graph import Node
from ..run.pass_facts import PassFacts
from . import advice
from .hidden import (
    RECTIFIED,
    graph_of,
    hidden_with,
    layer_of,
    severity_of,
    with_activation,
)
from .rule import rule

# ReLU layers are zero for 50 to 80 % of their outputs, and a third of the units of a
# wide layer may be dead without harm. At 90 %, a layer of 128 has 12 units left.
DEAD = 0.9
ALIVE = 0.5  # dead units that are usual in a new network
SATURATED = 0.9  # of the units, each for at least half of the examples
MIN_EXAMPLES = 64
MIN_TARGETS = 16  # that are not zero, so zero for all of them is no chance
BOUNDED = ("tanh", "sigmoid", "hard_sigmoid", "hard_tanh", "softsign")


@rule("first_pass", "graph")
def dead_units(facts: Facts) -> list[Finding]:
    """A ReLU unit that is zero for every example passes no gradient back.

    A layer in which all units are dead cuts off everything before it, unless a residual
    connection passes it by. After a run, dead units are a fault if the run ended badly,
    or if they died during the run and it is not known to have ended well.
    """
    current = _current(facts)
    if current is None or not _is_varied(facts, current):
        return []
    for node, layer in _hidden(facts, current, RECTIFIED):
        if not layer.dead >= DEAD or len(layer.unit_zeros) < 4:
            continue
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
        return [
            finding(
                "dead_units",
                _severity_of_dead(facts, layer, before),
                f"layer '{layer.name}'",
                evidence,
                with_activation(node, "leaky_relu"),
                "Lower the learning rate or warm it up, or add normalization.",
                picture="activations",
            )
        ]
    return []


@rule("first_pass")
def dead_output(facts: Facts) -> list[Finding]:
    """A ReLU output that is zero for all examples has no gradient, and stays zero."""
    current = _current(facts)
    heads = facts.model.heads
    if current is None or len(heads) != len(current.outputs) or facts.data is None:
        return []
    if len(facts.data.targets) != len(heads) or not _is_varied(facts, current):
        return []
    found = []
    for head, values, target in zip(
        heads, current.outputs, facts.data.targets, strict=True
    ):
        if head.activation not in RECTIFIED or head.last is None:
            continue
        units = values.shape[-1] if values.ndim > 1 else 1
        wanted = target.values.reshape(-1, target.width)
        if target.width != units or _size(current) < MIN_EXAMPLES:
            continue
        is_needed = (wanted != 0).sum(axis=0) >= MIN_TARGETS
        dead = ~values.reshape(-1, units).any(axis=0) & is_needed
        if not dead.any():
            continue
        which = (
            "The output is" if units == 1 else f"{dead.sum()} of {units} outputs are"
        )
        found.append(
            finding(
                "dead_units",
                "error" if dead.sum() == is_needed.sum() else "warning",
                f"layer '{head.layer}'",
                f"{which} 0 for all {_size(current)} examples of the sample, while the "
                "targets are not.",
                _without_activation(head),
                "Or use 'softplus', which is positive and has a gradient everywhere.",
                picture="outputs",
            )
        )
    return found


@rule("first_pass", "graph")
def saturated_units(facts: Facts) -> list[Finding]:
    """At the bounds of tanh and sigmoid the gradient is close to zero.

    At least 90 % of the units must be within 2.5 % of a bound for at least half of the
    examples. Trained classifiers saturate some units, so only a run that ended badly is
    judged. Gates, which multiply other outputs, start closed on purpose (Srivastava et
    al., 'Highway Networks', 2015), and are not judged.
    """
    current = _current(facts)
    if current is None or not _is_varied(facts, current):
        return []
    outcome = outcome_of(facts)
    if facts.end is not None and not outcome.is_harmed:
        return []
    for node, layer in _hidden(facts, current, BOUNDED):
        if not layer.saturated >= SATURATED or len(layer.unit_saturated) < 4:
            continue
        return [
            finding(
                "saturated_units",
                "error" if facts.end is not None and outcome.is_trivial else "warning",
                f"layer '{layer.name}'",
                Evidence(
                    f"{layer.saturated:.0%} of the {len(layer.unit_saturated)} units "
                    "are within 2.5 % of a bound for at least half of the examples.",
                    layer.saturated,
                    SATURATED,
                ),
                with_activation(node, "relu"),
                "Scale the inputs, use smaller initial weights, or add normalization.",
                picture="activations",
            )
        ]
    return []


@rule("end")
def symmetric_units(facts: Facts) -> list[Finding]:
    """Units with identical weights have identical gradients, and never differ.

    All units of a trained kernel must agree to a millionth of their size. Such a layer
    has the capacity of one unit, which is a fault unless the run is known to have ended
    well. Outputs may be identical, because their targets may be.
    """
    training = facts.training
    if training is None:
        return []
    outer = {head.layer for head in facts.model.heads}
    names = [layer_of(one) for one in training.identical_units]
    names = [one for one in names if one.rpartition("/")[2] not in outer]
    if not names:
        return []
    outcome = outcome_of(facts)
    is_harmful = outcome.is_harmed or outcome.explained is None
    severity = "error" if is_harmful else "warning"
    return [
        finding(
            "symmetric_units",
            "hint" if outcome.is_good else severity,
            f"layer '{names[0]}'",
            f"All units of {len(names)} layer{'s'[: len(names) > 1]} "
            f"({', '.join(names[:4])}) have the same weights after training.",
            _with_random_weights(facts, names[0]),
            "Use random initial weights in all hidden layers.",
            picture="weights",
        )
    ]


def _severity_of_dead(facts: Facts, layer, before) -> str:
    is_all = layer.dead == 1
    if facts.end is None:
        return "error" if is_all else "warning"
    outcome = outcome_of(facts)
    if outcome.is_good:
        return "hint"
    if is_all:
        return "error"
    if outcome.is_harmed:
        return severity_of(outcome)
    has_died = before is not None and before.dead <= ALIVE
    return "warning" if has_died and outcome.explained is not None else "hint"


def _without_activation(head) -> str:
    """Returns code of the last layer with no activation."""
    if head.last.role == "kernel":
        return advice.layer_code(head.last, activation=None)
    return f"keras.layers.Activation('linear', name={head.last.name!r})"


def _with_random_weights(facts: Facts, layer: str) -> str:
    """Returns code of a layer with random initial weights."""
    graph = facts.model.graph
    names = layer.split("/")
    nodes = graph.nodes if graph is not None else ()
    for node in nodes:
        if node.name in names and node.role in ("kernel", "recurrent"):
            return advice.layer_code(node, kernel_initializer="glorot_uniform")
    return (
        f"layer = model.get_layer({layer.partition('/')[0]!r}); "
        "layer.kernel.assign(keras.initializers.GlorotUniform()(layer.kernel.shape))"
    )


def _current(facts: Facts) -> PassFacts | None:
    return facts.end if facts.end is not None else facts.start


def _size(current: PassFacts) -> int:
    return len(current.sample) if current.sample is not None else 0


def _is_varied(facts: Facts, current: PassFacts) -> bool:
    """Returns whether the sample shows enough of the data to call a unit dead.

    The examples of one class, such as a batch of sorted data, leave units at zero that
    other classes use.
    """
    if current.sample is None or _size(current) < MIN_EXAMPLES:
        return False
    kinds = [one.is_classes for one in facts.data.targets] if facts.data else []
    labels = keras.tree.flatten(current.sample.y)
    if len(labels) != len(kinds) or not any(kinds):
        return True
    return any(
        is_classes and len(np.unique(np.asarray(one), axis=0)) > 1
        for is_classes, one in zip(kinds, labels, strict=True)
    )


def _hidden(
    facts: Facts, current: PassFacts, activations: tuple
) -> Iterator[tuple[Node, LayerStatistics]]:
    """Yields hidden layers with one of some activations, and their statistics."""
    nodes = {one.name: one for one in hidden_with(graph_of(facts), activations)}
    for layer in current.layers:
        name = layer.name.rpartition("/")[2]
        if name in nodes and np.isfinite(layer.dead):
            yield nodes[name], layer


RULES = (dead_units, dead_output, saturated_units, symmetric_units)
