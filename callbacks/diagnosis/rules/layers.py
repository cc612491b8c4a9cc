"""Rules on dropout and normalization layers."""

from ..facts import Facts
from ..finding import Finding, finding
from .outputs import outputs_of
from .rule import rule

HIGH_RATE = 0.8  # fewer than one in five units is kept
SLOW_MOMENTUM = 0.999  # needs about 3,000 steps to forget the initial statistics


@rule("model")
def dropout_after_head(facts: Facts) -> list[Finding]:
    """Dropout of outputs sets predictions to zero that the loss then punishes."""
    return [
        finding(
            "misused_layer",
            "warning",
            f"layer '{output.head.dropped[0]}'",
            f"The dropout layer '{output.head.dropped[0]}' follows the output layer "
            f"'{output.head.layer}', so it removes predictions.",
            f"Remove keras.layers.Dropout(name={output.head.dropped[0]!r})",
            f"Or place it before '{output.head.layer}'.",
            picture="graph",
        )
        for output in outputs_of(facts)
        if output.head.dropped
    ]


@rule("model", is_risk=True)
def high_dropout(facts: Facts) -> list[Finding]:
    """Dropout at a rate r multiplies the variance of what it keeps by 1 / (1 - r).

    From 0.8 on, fewer than one in five units is left. Noise layers are not judged.
    """
    return [
        finding(
            "over_regularized",
            "warning",
            f"layer '{one.name}'",
            f"The dropout rate is {one.rate:g}: {1 - one.rate:.0%} of the units are "
            "kept.",
            f"keras.layers.{one.kind}(0.3, name={one.name!r})",
            picture="loss",
        )
        for one in facts.model.layers
        if one.kind.endswith(("Dropout", "Dropout1D", "Dropout2D", "Dropout3D"))
        and one.rate is not None
        and one.rate > HIGH_RATE
    ]


@rule("model")
def normalization_of_one(facts: Facts) -> list[Finding]:
    """The statistics of a batch of one example remove the example itself.

    Batch normalization over batches of one sends dense features to exactly `beta`.
    Over images there are still many pixels per channel.
    """
    data, graph = facts.data, facts.model.graph
    if data is None or data.batch_size != 1 or graph is None:
        return []
    names = [
        node.name
        for node in graph.nodes
        if node.kind == "BatchNormalization" and len(node.shape) == 1 and node.trainable
    ]
    if not names:
        return []
    return [
        finding(
            "unfit_batch_size",
            "error",
            f"layer '{names[0]}'",
            "Batch normalization over a batch of 1 example gives the same output for "
            "every input.",
            "model.fit(x, y, batch_size=32)",
            f"Or use keras.layers.LayerNormalization(name={names[0]!r}).",
        )
    ]


@rule("model", is_risk=True)
def slow_statistics(facts: Facts) -> list[Finding]:
    """Moving statistics with a momentum m need about 3 / (1 - m) steps to settle."""
    graph, training = facts.model.graph, facts.training
    if graph is None:
        return []
    found = []
    for node in graph.nodes:
        momentum = node.options.get("momentum")
        if node.kind != "BatchNormalization" or not isinstance(momentum, float):
            continue
        is_over = training is not None and training.is_over
        steps = training.total_steps if training is not None else None
        needed = 1 / (1 - momentum) if momentum < 1 else float("inf")
        is_short = is_over and steps is not None and steps < needed
        if momentum > SLOW_MOMENTUM or (is_short and momentum > 0.99):
            found.append(
                finding(
                    "misused_layer",
                    "warning",
                    f"layer '{node.name}'",
                    f"With momentum {momentum:g}, the moving statistics need about "
                    f"{3 * needed:,.0f} steps to forget their initial values.",
                    "keras.layers.BatchNormalization(momentum=0.9, "
                    f"name={node.name!r})",
                    picture="loss",
                )
            )
    return found[:1]


RULES = (
    dropout_after_head,
    high_dropout,
    normalization_of_one,
    slow_statistics,
)
