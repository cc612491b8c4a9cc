"""The outputs of the model, as the rules on heads and labels see them.

An unknown loss, head or encoding of the labels is not judged, and neither is a model
with its own training step.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from ..data.data_facts import TargetFacts
from ..facts import Facts
from ..reading.graph import BOUNDED, Head
from ..reading.loss_facts import LossFacts

# Share of targets outside of the range of the output that cannot be outliers.
UNREACHABLE = 0.05
# A relative margin beyond the bounds of an activation, for rounding.
MARGIN = 1e-3


@dataclass(frozen=True, eq=False)
class Output:
    """One output of the model, with everything that is known about it.

    Attributes:
        name: Name of the output.
        index: Position of the output.
        head: The end of the model at this output.
        loss: Loss of the output.
        target: Targets of the output, or `None` if unknown or no numbers.
        finds_logits: Whether the loss uses the logits behind a softmax or sigmoid: on
            TensorFlow, and only if nothing follows the activation.
    """

    name: str
    index: int
    head: Head
    loss: LossFacts
    target: TargetFacts | None
    finds_logits: bool

    @property
    def where(self) -> str:
        """Name of the output layer, for findings."""
        return f"layer '{self.head.layer}'"

    @property
    def is_scalar(self) -> bool:
        """Whether the output has one unit per example."""
        return self.head.units == 1


def outputs_of(facts: Facts) -> list[Output]:
    """Returns the outputs that can be judged."""
    model, data, graph = facts.model, facts.data, facts.model.graph
    heads = model.heads
    if model.has_own_step or not heads or graph is None:
        return []
    targets: list[TargetFacts | None] = [None] * len(heads)
    if data is not None and len(data.targets) == len(heads):
        targets = list(data.targets)
    return [
        Output(
            name=model.output_names[i],
            index=i,
            head=head,
            loss=model.losses[i],
            target=_as_seen(targets[i], model.losses[i], head),
            finds_logits=model.finds_logits
            and head.activation in ("softmax", "sigmoid")
            and head.last is graph.nodes[graph.outputs[i]],
        )
        for i, head in enumerate(heads)
    ]


def is_first_look(facts: Facts) -> bool:
    """Returns whether labels are still to come, so that a rule on them should wait."""
    return facts.data is None and facts.training is None


def _as_seen(
    target: TargetFacts | None, loss: LossFacts, head: Head
) -> TargetFacts | None:
    """Returns the targets as the loss takes them.

    Values of `ignore_class` do not count. Several whole numbers per example are classes
    only for a loss that takes class indices, or a softmax; otherwise they are numbers,
    such as gray levels.
    """
    if target is None or target.kind == "strings" or not target.values.size:
        return None
    if loss.is_sparse and loss.ignore_class is not None:
        kept = target.values[target.values != loss.ignore_class]
        if not kept.size:
            return None
        low, high = float(kept.min()), float(kept.max())
        return replace(
            target,
            kind="class_ids" if low >= 0 else target.kind,
            minimum=low,
            maximum=high,
            distinct=len(np.unique(kept)),
            is_constant=low == high,
        )
    takes_numbers = loss.is_binary or loss.is_distance
    is_several = math.prod(target.shape) > 1 and target.kind == "class_ids"
    if is_several and takes_numbers and head.activation != "softmax":
        return replace(target, kind="integers")
    return target


def bounds_of(activation: str | None) -> tuple[float, float]:
    """Returns the smallest and the largest value of an activation."""
    return BOUNDED.get(activation or "", (-math.inf, math.inf))


def num_classes(target: TargetFacts | None) -> int | None:
    """Returns the number of classes in the labels, or `None` if they are no classes."""
    if target is None or not target.is_classes:
        return None
    if target.kind == "class_ids":
        return int(target.maximum) + 1
    return target.width if target.width > 1 else 2


def outside(target: TargetFacts, low: float, high: float) -> float:
    """Returns the share of the targets outside of an interval."""
    size = max(abs(target.minimum), abs(target.maximum))
    values = target.values
    return float(
        np.mean((values < low - MARGIN * size) | (values > high + MARGIN * size))
    )


def is_image_like(facts: Facts, target: TargetFacts) -> bool:
    """Returns whether targets are as large as an input, as in an autoencoder."""
    inputs = facts.data.inputs if facts.data else ()
    return math.prod(target.shape) > 16 and any(
        math.prod(one.shape) == math.prod(target.shape) for one in inputs
    )
