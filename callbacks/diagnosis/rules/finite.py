"""Rules on values that are NaN or infinite."""

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from .rule import rule

GROWTH = 10.0  # of the weights, from the first record: training has diverged
LARGE_RATIO = 0.1  # a step that changes a tenth of the weights


@rule("first_pass")
def not_finite_at_start(facts: Facts) -> list[Finding]:
    """The first pass shows which layer produces NaN from finite inputs."""
    start = facts.start
    if start is None or start.loss is None:
        return []
    layers = [one.name for one in start.layers if one.non_finite]
    if not layers and np.isfinite(start.loss):
        return []
    where = f"layer '{layers[0]}'" if layers else "loss"
    evidence = (
        f"The outputs of '{layers[0]}' contain NaN or infinity before the first update."
        if layers
        else f"The loss is {start.loss} before the first update."
    )
    return [
        finding(
            "not_finite",
            "error",
            where,
            Evidence(evidence, step=0),
            "keras.ops.log(keras.ops.maximum(x, 1e-7))",
            "Look for logarithms, divisions and roots of zero.",
            picture="loss",
        )
    ]


@rule("failure")
def not_finite_in_training(facts: Facts) -> list[Finding]:
    """The records show where NaN came first: in a gradient or in the weights.

    A `LossScaleOptimizer` skips steps with infinite gradients by design, so skipped
    steps do not count. A divergence with growing weights is a rate that is too high.
    """
    training = facts.training
    if training is None or not len(training.step):
        return []
    missing = np.isnan(training.gradient_norm).all(axis=0)
    gradients = ~np.isfinite(training.gradient_norm) & ~missing
    bad = (gradients | ~np.isfinite(training.update_norm)) & ~training.skipped[:, None]
    bad[:, missing] = False
    rows = np.flatnonzero(bad.any(axis=1))
    losses = training.curve("loss")
    nan_epochs = np.flatnonzero(~np.isfinite(losses))
    if not len(rows) and not len(nan_epochs):
        return []
    found = []
    evidence = []
    where = "loss"
    if len(rows):
        row = rows[0]
        names = [training.variables[i] for i in np.flatnonzero(bad[row])]
        where = f"gradient of '{names[-1]}'"
        evidence.append(
            Evidence(
                f"The gradients of {len(names)} of {len(training.variables)} variables "
                f"are NaN or infinite, such as '{names[-1]}'.",
                step=int(training.step[row]),
                epoch=int(training.epoch[row]),
            )
        )
    if len(nan_epochs):
        evidence.append(
            Evidence("The loss is NaN or infinite.", epoch=int(nan_epochs[0]))
        )
    found.append(
        finding(
            "not_finite",
            "error",
            where,
            evidence,
            "model.compile(optimizer=keras.optimizers.Adam(1e-4, global_clipnorm=1.0), "
            "loss=model.loss)",
            "Check the data for NaN, and custom losses for logarithms of zero.",
            picture="loss",
        )
    )
    return found


RULES = (not_finite_at_start, not_finite_in_training)
