"""Rules on the last activation if the loss is neither a cross-entropy nor an error."""

from ..facts import Facts
from ..finding import Finding, finding
from . import advice
from .outputs import bounds_of, outputs_of
from .rule import rule


@rule("model")
def rates_below_zero(facts: Facts) -> list[Finding]:
    """The Poisson loss takes the logarithm of the outputs: they must be positive."""
    return [
        finding(
            "loss_head_mismatch",
            "error",
            output.where,
            f"`poisson` takes the logarithm of the outputs, but '{output.head.layer}' "
            f"ends in '{output.head.activation}' and can be negative.",
            advice.layer(output.head, None, "exponential"),
        )
        for output in outputs_of(facts)
        if output.loss.name == "poisson"
        and output.head.activation is not None
        and bounds_of(output.head.activation)[0] < 0
    ]


@rule("model")
def hinge_on_probabilities(facts: Facts) -> list[Finding]:
    """A hinge loss compares the sign of the output, which a sigmoid never changes."""
    return [
        finding(
            "loss_head_mismatch",
            "warning",
            output.where,
            f"`{output.loss.name}` expects outputs of both signs, but "
            f"'{output.head.activation}' is never negative.",
            advice.layer(output.head, None, "linear"),
            "Or use binary_crossentropy as the loss.",
        )
        for output in outputs_of(facts)
        if output.loss.name in ("hinge", "squared_hinge")
        and bounds_of(output.head.activation)[0] >= 0
    ]


@rule("model")
def cosine_of_one_number(facts: Facts) -> list[Finding]:
    """The cosine similarity of two numbers is the product of their signs."""
    return [
        finding(
            "loss_head_mismatch",
            "error",
            "argument `loss`",
            f"`cosine_similarity` compares directions, but layer '{output.head.layer}' "
            "has 1 unit: only the sign of the output counts.",
            advice.with_loss(facts, output, "'mean_squared_error'"),
            picture="outputs",
        )
        for output in outputs_of(facts)
        if output.loss.name == "cosine_similarity" and output.is_scalar
    ]


RULES = (
    cosine_of_one_number,
    rates_below_zero,
    hinge_on_probabilities,
)
