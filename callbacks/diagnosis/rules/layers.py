"""Rules on dropout and normalization layers."""

from ..facts import Facts
from ..finding import Finding, finding
from . import advice
from .harm import is_over
from .outputs import outputs_of
from .rule import rule

HIGH_RATE = 0.8  # fewer than one in five units is kept
# Statistics with a smaller momentum follow the last one or two batches. The momentum
# of PyTorch is 1 minus that of Keras.
SHORT_MOMENTUM = 0.5
WORSE = 1.5  # loss in inference, in units of the loss with the statistics of the batch


@rule("model")
def dropout_after_head(facts: Facts) -> list[Finding]:
    """Dropout of outputs sets predictions to zero that the loss then punishes.

    Encoders that are trained with a loss of their own can end in dropout on purpose.
    """
    return [
        finding(
            "misused_layer",
            "warning",
            f"layer '{output.head.dropped[0]}'",
            f"The dropout layer '{output.head.dropped[0]}' follows the output layer "
            f"'{output.head.layer}', so it removes predictions.",
            f"model.get_layer({output.head.dropped[0]!r}).rate = 0.0  # or remove it",
            f"Or place it before '{output.head.layer}'.",
            picture="graph",
        )
        for output in outputs_of(facts)
        if output.head.dropped and output.loss.is_known
    ]


@rule("model", is_risk=True)
def high_dropout(facts: Facts) -> list[Finding]:
    """Dropout at a rate r multiplies the mean square of its inputs by 1 / (1 - r).

    Above 0.8 on, fewer than one in five units is left. Noise layers are not judged.
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
            advice.fit_with(facts, batch_size=32),
            f"Or use keras.layers.LayerNormalization(name={names[0]!r}).",
        )
    ]


@rule("model")
def normalization_of_one_value(facts: Facts) -> list[Finding]:
    """A single value minus its mean is 0, so the layer outputs exactly `beta`."""
    graph = facts.model.graph
    return [
        finding(
            "misused_layer",
            "error",
            f"layer '{node.name}'",
            f"Layer '{node.name}' normalizes a single value per example, which gives "
            "the same output for every input.",
            f"keras.layers.BatchNormalization(name={node.name!r})",
            "Or remove the layer.",
            picture="graph",
        )
        for node in (graph.nodes if graph is not None else ())
        if node.kind == "LayerNormalization"
        and node.options.get("axis") in (-1, [-1], (-1,), len(node.shape))
        and node.shape[-1:] == (1,)
    ]


@rule("model")
def unsettled_statistics(facts: Facts) -> list[Finding]:
    """Moving statistics with a momentum m average about 1 / (1 - m) steps.

    After fewer steps, more than 1 / e of them are initial values. With a momentum below
    0.5, they are those of the last batch. Both are a hint, and a warning if the loss in
    inference is much larger than with the statistics of the batch.
    """
    graph, training = facts.model.graph, facts.training
    if graph is None:
        return []
    steps = training.total_steps if training is not None and is_over(facts) else None
    for node in graph.nodes:
        momentum = node.options.get("momentum")
        if node.kind != "BatchNormalization" or not isinstance(momentum, float):
            continue
        needed = 1 / (1 - momentum) if momentum < 1 else float("inf")
        # Before the end, the number of steps is unknown, but 1,000 are usual.
        is_slow = momentum > 0.999 if steps is None else steps < needed
        if not node.trainable or not (is_slow or momentum < SHORT_MOMENTUM):
            continue
        reason = (
            f"the moving statistics average about {needed:,.0f} steps"
            + (f", of which there were {steps:,}." if steps is not None else ".")
            if is_slow
            else "the moving statistics follow the last batches. In PyTorch, "
            "`momentum` is the share of the new batch instead."
        )
        return [
            finding(
                "misused_layer",
                "warning" if _is_worse_in_inference(facts) else "hint",
                f"layer '{node.name}'",
                f"With momentum {momentum:g}, {reason}",
                f"keras.layers.BatchNormalization(momentum=0.9, name={node.name!r})",
                picture="loss",
            )
        ]
    return []


def _is_worse_in_inference(facts: Facts) -> bool:
    end = facts.end
    if end is None or end.loss is None or end.training_loss is None:
        return False
    training = end.training_loss - end.penalty
    return training > 0 and end.loss - end.penalty > WORSE * training


RULES = (
    dropout_after_head,
    high_dropout,
    normalization_of_one,
    normalization_of_one_value,
    unsettled_statistics,
)
