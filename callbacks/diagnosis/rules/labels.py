"""Rules on the range of labels, and on whether they depend on the inputs."""

import math

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import outcome_of
from ..reading.graph import BOUNDED, Node
from .outputs import UNREACHABLE, is_image_like, outputs_of, outside
from .rule import rule

# Outputs start near 0 with a spread of about 1; smaller targets are reached anyway.
LARGE_TARGET = 100.0
MANY_STEPS = 10_000  # a usual length of training, where it is not known
# Number of examples that show the absence of a dependence of some strength.
MIN_EXAMPLES = 600


@rule("model")
def class_ids_out_of_range(facts: Facts) -> list[Finding]:
    """Class indices must lie in [0, units); binary labels must be 0 and 1.

    Labels 1 ... C for C units are recognized as starting at 1. Hinge losses and
    distances take -1 and 1 as well.
    """
    found = []
    for output in outputs_of(facts):
        loss, target, units = output.loss, output.target, output.head.units
        if target is None or target.kind == "strings" or units is None:
            continue
        low, high = target.minimum, target.maximum
        evidence, fix = "", ""
        is_ids = target.kind in ("class_ids", "integers", "signed")
        if loss.is_sparse and is_ids and units > 1:
            if low < 0:
                evidence = f"Class indices reach from {low:g} to {high:g}."
                fix = "y = np.unique(y, return_inverse=True)[1]"
            elif high == units and low >= 1:
                evidence = (
                    f"Class indices reach from {low:g} to {high:g}, but {units} units "
                    f"have the indices 0 to {units - 1}."
                )
                fix = "y = y - 1"
        elif loss.is_binary and target.kind == "signed":
            evidence = f"The labels are -1 and 1, but `{loss.name}` expects 0 and 1."
            fix = "y = (y + 1) / 2"
        elif loss.is_binary and is_ids and target.distinct == 2:
            evidence = (
                f"The labels are {low:g} and {high:g}, but `{loss.name}` expects 0 "
                "and 1."
            )
            fix = f"y = (y == {high:g}).astype('float32')"
        elif loss.is_binary and units > 1 and (high > 1 or low < 0):
            scale = 255 if high > 1.5 and low >= 0 else high
            evidence = (
                f"The targets reach from {low:.3g} to {high:.3g}, but `{loss.name}` "
                "expects values in [0, 1]."
            )
            fix = f"y = y / {scale:g}"
        elif loss.name == "poisson" and low < 0:
            evidence = f"The smallest target is {low:.3g}, but rates are positive."
            fix = "model.compile(optimizer=model.optimizer, loss='mean_squared_error')"
        elif loss.name == "mean_absolute_percentage_error":
            share = float((np.abs(target.values) < 1e-6 * max(1e-6, high)).mean())
            if share >= 0.01:
                evidence = (
                    f"{share:.0%} of the targets are 0, and the loss divides by them."
                )
                fix = (
                    "model.compile(optimizer=model.optimizer, "
                    "loss='mean_absolute_error')"
                )
        if evidence:
            found.append(
                finding(
                    "labels_out_of_range",
                    "error",
                    f"data `{target.name}`",
                    evidence,
                    fix,
                    picture="outputs",
                )
            )
    return found


@rule("model")
def images_out_of_range(facts: Facts) -> list[Finding]:
    """Targets such as images must lie in the range of a bounded last activation."""
    found = []
    for output in outputs_of(facts):
        target = output.target
        if target is None or not output.loss.is_distance:
            continue
        low, high = BOUNDED.get(output.head.activation or "", (-math.inf, math.inf))
        share = outside(target, low, high)
        if share >= UNREACHABLE and is_image_like(facts, target):
            scale = max(abs(target.minimum), abs(target.maximum))
            found.append(
                finding(
                    "labels_out_of_range",
                    "error",
                    f"data `{target.name}`",
                    f"{share:.0%} of the targets lie outside of [{low:g}, {high:g}], "
                    f"the range of '{output.head.activation}'; they reach from "
                    f"{target.minimum:.3g} to {target.maximum:.3g}.",
                    f"y = y / {255 if 100 < scale <= 255 else scale:g}",
                    picture="outputs",
                )
            )
    return found


@rule("model")
def targets_not_scaled(facts: Facts) -> list[Finding]:
    """Targets of large units are out of reach for outputs that start near 0.

    Adam changes each weight of the output layer by at most the rate, so the output
    moves by about `rate * (1 + fan_in)` per step. If the root mean square of the
    targets needs more steps than there are (10,000 before training), this is a warning.
    For SGD it is one if the loss diverged. Otherwise it is a hint: units by themselves
    are no fault, and neither is a run that has learned.
    """
    found = []
    for output in outputs_of(facts):
        target, node = output.target, output.head.node
        is_free = output.head.activation in ("linear", "relu", "softplus")
        is_absolute = output.loss.name in (
            *("mean_squared_error", "mean_absolute_error", "huber", "log_cosh"),
        )
        if target is None or node is None or not (is_free and is_absolute):
            continue
        rms = float(np.sqrt((target.values**2).mean()))
        if rms <= LARGE_TARGET:
            continue
        found.append(
            finding(
                "labels_out_of_range",
                "warning" if _is_out_of_reach(facts, node, rms) else "hint",
                f"data `{target.name}`",
                Evidence(
                    f"The root mean square of the targets is {rms:.3g}, while the "
                    "outputs start near 0.",
                    rms,
                    LARGE_TARGET,
                ),
                "y = (y - y.mean()) / y.std()",
                "Scale the predictions back with the same numbers.",
                picture="outputs",
            )
        )
    return found


def _is_out_of_reach(facts: Facts, node: Node, rms: float) -> bool:
    optimizer, training = facts.model.optimizer, facts.training
    if optimizer.iterations or not optimizer.learning_rate or not node.has_kernel:
        return False
    if training is not None and training.num_epochs:
        explained = outcome_of(facts).explained
        if explained is not None and explained > 0.5:
            return False
        if not np.isfinite(training.curve("loss")).all():
            return True
    if not optimizer.is_sign_like or optimizer.is_scheduled:
        return False
    steps = rms / (optimizer.learning_rate * (1 + node.kernel.fan_in))
    total = training.total_steps if training is not None else None
    return steps > (total or MANY_STEPS)


@rule("model")
def constant_labels(facts: Facts) -> list[Finding]:
    """Labels that are all the same leave nothing to learn.

    Rare classes are missing from small samples, so either the sample must be the whole
    data or have at least 1,000 examples, or the head must have three or more classes
    and the sample at least 64 examples. Sorted data can look the same.
    """
    data = facts.data
    if data is None or data.is_autoencoder:
        return []
    found = []
    for output in outputs_of(facts):
        target, units = output.target, output.head.units
        if target is None or not target.is_constant or output.loss.name is None:
            continue
        is_whole = data.examples in (data.size, max(1000, data.examples))
        has_classes = output.loss.is_cross_entropy and (units or 0) >= 3
        enough = data.examples >= 64 if has_classes else is_whole
        if target.kind == "strings" or not enough or data.examples < 16:
            continue
        found.append(
            finding(
                "labels_independent_of_inputs",
                "error" if is_whole else "warning",
                f"data `{target.name}`",
                f"All {data.examples} labels of the sample are the same "
                f"({target.values.flat[0]:g}, in the first column).",
                f"print(np.unique({target.name}, return_counts=True))",
                "Check the column that is used as the label, and shuffle sorted data.",
                picture="outputs",
            )
        )
    return found


@rule("model")
def labels_without_dependence(facts: Facts) -> list[Finding]:
    """Labels that were shuffled apart from the inputs cannot be predicted from them.

    A linear model, a forest and neighbors must all stay within one standard deviation
    of a trivial predictor on held-out examples. Any true dependence that a network
    learns quickly lifts one of them; functions such as the parity of many bits do not,
    so the finding is a warning.
    """
    data = facts.data
    if data is None or data.dependence is None or not outputs_of(facts):
        return []
    test = data.dependence
    if test.examples < MIN_EXAMPLES or test.best > test.trivial + test.deviation:
        return []
    kind = "a share of the loss"
    return [
        finding(
            "labels_independent_of_inputs",
            "warning",
            f"data `{data.targets[0].name}`",
            [
                Evidence(
                    f"On held-out parts of {test.examples} examples, the best of a "
                    f"linear model, a forest and nearest neighbors reaches {kind} "
                    f"{test.best:.2f}; ignoring the inputs gives {test.trivial:.2f}.",
                    test.best,
                    test.trivial + test.deviation,
                    kind,
                )
            ],
            "x, y = sklearn.utils.shuffle(x, y)",
            "Check that inputs and labels are still in the same order.",
            picture="outputs",
        )
    ]


@rule("model")
def strings(facts: Facts) -> list[Finding]:
    """The losses of Keras take numbers."""
    data = facts.data
    return [
        finding(
            "labels_out_of_range",
            "error",
            f"data `{target.name}`",
            "The labels are not numbers.",
            "classes, y = np.unique(y, return_inverse=True)",
        )
        for target in (data.targets if data else ())
        if target.kind == "strings" and outputs_of(facts)
    ]


RULES = (
    class_ids_out_of_range,
    images_out_of_range,
    targets_not_scaled,
    constant_labels,
    labels_without_dependence,
    strings,
)
