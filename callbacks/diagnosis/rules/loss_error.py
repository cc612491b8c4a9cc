"""A rule on losses that raise an error."""

from ..facts import Facts
from ..finding import Finding, finding
from .rule import rule


@rule("first_pass", "known_loss", "plain_step")
def loss_raises(facts: Facts) -> list[Finding]:
    """If the loss cannot be computed, `fit` raises the same error.

    The shapes of outputs and targets are the usual reason.
    """
    start = facts.start
    if start is None or not start.error or facts.data is None:
        return []
    outputs = [one.shape[1:] for one in start.outputs]
    targets = [one.shape for one in facts.data.targets]
    return [
        finding(
            "loss_head_mismatch",
            "error",
            "argument `loss`",
            f"The loss cannot be computed for outputs of shape {_listed(outputs)} and "
            f"targets of shape {_listed(targets)}: {start.error}",
            "print(model.output_shape, y.shape)",
            "The shapes must agree, or, for a sparse loss, the targets must be one "
            "class per example.",
        )
    ]


def _listed(shapes: list[tuple]) -> str:
    return " and ".join(map(str, shapes))


RULES = (loss_raises,)
