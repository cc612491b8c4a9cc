"""Lines of Keras code for advice."""

from ..facts import Facts
from ..reading.graph import Head


def compile_with(argument: str) -> str:
    """Returns a call to `compile` with one changed argument."""
    return f"model.compile(optimizer=model.optimizer, {argument}, metrics=...)"


def with_loss(loss: str) -> str:
    """Returns a call to `compile` with another loss."""
    return compile_with(f"loss={loss}")


def layer(head: Head, units: int | None, activation: str | None) -> str:
    """Returns the output layer with other units or another activation."""
    kind = head.node.kind if head.node is not None else "Dense"
    units = head.units if units is None else units
    size = f"{units}, " if kind == "Dense" else f"{units}, ..., "
    end = "" if activation is None else f", activation={activation!r}"
    name = f"name={head.layer!r}" if head.node is not None else ""
    inside = f"{size}{name}".rstrip(", ") + end
    return f"keras.layers.{kind}({inside})"


def with_rate(facts: Facts, rate: float) -> str:
    """Returns a call to `compile` with another learning rate."""
    return (
        f"model.compile(optimizer={facts.model.optimizer.code(rate)}, loss=model.loss)"
    )
