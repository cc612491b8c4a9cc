"""Rules: pure functions from facts to findings, grouped by what they judge.

Each rule takes `Facts` and returns a list of findings. Rules do not know of each other:
`ranking` removes findings that other findings explain.
"""

from . import (
    finite,
    first_update,
    frozen,
    generalization,
    gradients,
    heads,
    initialization,
    inputs,
    labels,
    layers,
    leak,
    loss_error,
    low_rate,
    metrics,
    optimizer,
    other_losses,
    progress,
    rates,
    regularization,
    stack,
    targets,
    units,
)
from .rule import MOMENTS, Rule

MODULES = (
    heads,
    other_losses,
    targets,
    labels,
    inputs,
    leak,
    frozen,
    stack,
    layers,
    initialization,
    optimizer,
    regularization,
    metrics,
    finite,
    first_update,
    loss_error,
    rates,
    low_rate,
    gradients,
    units,
    progress,
    generalization,
)
RULES: tuple[Rule, ...] = tuple(one for module in MODULES for one in module.RULES)


def rules_at(moment: str) -> tuple[Rule, ...]:
    """Returns the rules that can judge at a moment, one of `MOMENTS`."""
    known = MOMENTS[: MOMENTS.index(moment) + 1]
    return tuple(one for one in RULES if one.since in known)
