"""Rules: pure functions from facts to findings, grouped by what they judge.

Each rule takes `Facts` and returns a list of findings. Rules do not know of each other:
`ranking` removes findings that other findings explain.
"""

from collections.abc import Callable

from . import (
    finite,
    frozen,
    generalization,
    gradients,
    heads,
    initialization,
    inputs,
    labels,
    layers,
    metrics,
    optimizer,
    progress,
    rates,
    stack,
    targets,
    units,
)

BEFORE: tuple[Callable, ...] = (
    *heads.RULES,
    *targets.RULES,
    *labels.RULES,
    *inputs.RULES,
    *frozen.RULES,
    *stack.RULES,
    *layers.RULES,
    *initialization.RULES,
    *optimizer.RULES,
    *metrics.RULES,
)
DURING: tuple[Callable, ...] = (
    *finite.RULES,
    *rates.RULES,
    *gradients.RULES,
    *units.RULES,
    *progress.RULES,
    *generalization.RULES,
)
