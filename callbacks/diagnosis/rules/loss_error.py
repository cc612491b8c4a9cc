"""A rule on losses that raise an error."""

from ..facts import Facts
from ..finding import Finding, finding
from ..reading.loss_facts import LossFacts
from .rule import rule


@rule("first_pass", "known_loss", "plain_step")
def loss_raises(facts: Facts) -> list[Finding]:
    """A loss raises an error if the targets do not have the shape of the outputs.

    Errors for other reasons, such as labels outside of the range, are found by other
    rules, or are only reported.
    """
    start = facts.start
    if start is None or not start.error or facts.data is None:
        return []
    outputs = [one.shape[1:] for one in start.outputs]
    targets = [one.shape for one in facts.data.targets]
    losses = facts.model.losses
    if len(outputs) == len(targets) == len(losses) and all(
        map(_fit, outputs, targets, losses)
    ):
        return []
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


def _fit(output: tuple, target: tuple, loss: LossFacts) -> bool:
    """Returns whether a target has the shape of an output, up to axes of size 1."""
    expected = output[:-1] if loss.is_sparse else output
    first, second = ([n for n in shape if n != 1] for shape in (expected, target))
    return first == second


def _listed(shapes: list[tuple]) -> str:
    return " and ".join(map(str, shapes))


RULES = (loss_raises,)
