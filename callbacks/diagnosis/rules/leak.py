"""A rule on validation examples that are in the training data."""

from ..facts import Facts
from ..finding import VALIDATION, Evidence, Finding, finding
from .rule import rule

# More than repeated examples explain. A leak of this size can raise a validation
# accuracy by as much.
LEAKED = 0.2


@rule("model")
def validation_in_training(facts: Facts) -> list[Finding]:
    """Validation examples that the model is trained on do not show how it generalizes.

    Examples of small discrete tables are equal by chance; they repeat as often within
    the training data. Only arrays are compared.
    """
    leak = facts.leak
    if leak is None or leak.share < leak.by_chance + LEAKED:
        return []
    return [
        finding(
            "data_bug",
            "warning",
            VALIDATION,
            Evidence(
                f"{leak.share:.0%} of {leak.examples:,} validation examples are among "
                f"{leak.training_examples:,} training examples, of which "
                f"{leak.by_chance:.0%} are repeated.",
                leak.share,
                leak.by_chance + LEAKED,
            ),
            "held_out = set(map(bytes, x_val)); "
            "keep = [bytes(one) not in held_out for one in x]; x, y = x[keep], y[keep]",
            "Remove repeated examples, and split the data before augmentation and "
            "oversampling.",
        )
    ]


RULES = (validation_in_training,)
