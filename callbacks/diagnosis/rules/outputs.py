"""The outputs of the model, as the rules on heads and labels see them.

An unknown loss, head or encoding of the labels is not judged, and neither is a model
with its own training step.
"""

import math
from dataclasses import dataclass

import numpy as np

from ..data.data_facts import TargetFacts
from ..facts import Facts
from ..reading.graph import Head
from ..reading.loss_facts import LossFacts
from . import advice

# Share of targets outside of the range of the output that cannot be outliers.
UNREACHABLE = 0.05
# A relative margin beyond the bounds of an activation, for rounding.
MARGIN = 1e-3


@dataclass(frozen=True, eq=False)
class Output:
    """One output of the model, with everything that is known about it."""

    name: str
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
    model, data = facts.model, facts.data
    heads = model.heads
    if model.has_own_step or not heads:
        return []
    targets: list[TargetFacts | None] = [None] * len(heads)
    if data is not None and len(data.targets) == len(heads):
        targets = list(data.targets)
    return [
        Output(name, head, loss, target, model.finds_logits)
        for name, head, loss, target in zip(
            model.output_names, heads, model.losses, targets, strict=True
        )
    ]


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


def class_of(loss: LossFacts) -> str:
    """Returns the name of the class of a loss, such as "BinaryCrossentropy"."""
    name = loss.name or ""
    return "".join(part.title() for part in name.split("_"))


def probability_layer(output: Output) -> str:
    """Returns code of the output layer with the activation that a loss expects."""
    is_binary = output.loss.is_binary
    return advice.layer(output.head, None, "sigmoid" if is_binary else "softmax")
