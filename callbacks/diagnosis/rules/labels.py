"""Rules on the range of labels, and on whether they depend on the inputs."""

import numpy as np

from ..data.dependence import sees_all
from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import outcome_of
from . import advice
from .comparison import never_predicts
from .harm import is_over
from .outputs import (
    UNREACHABLE,
    Output,
    bounds_of,
    is_image_like,
    outputs_of,
    outside,
)
from .rule import rule
from .target_scale import targets_not_scaled

# Number of examples that show the absence of a dependence of some strength.
MIN_EXAMPLES = 600
# A larger share of zeros than rounding causes.
ZEROS = 0.01


@rule("model")
def class_ids_out_of_range(facts: Facts) -> list[Finding]:
    """Class indices must lie in [0, units).

    Labels 1 ... C for C units are recognized as starting at 1. Indices that the loss
    ignores do not count.
    """
    found = []
    for output in outputs_of(facts):
        target, units = output.target, output.head.units
        if target is None or units is None or units < 2 or not output.loss.is_sparse:
            continue
        if target.kind not in ("class_ids", "integers", "signed"):
            continue
        low, high, name = target.minimum, target.maximum, target.name
        seen = f"Class indices reach from {low:g} to {high:g}"
        if low < 0:
            fix = f"{name} = np.unique({name}, return_inverse=True)[1]"
            found.append(_out_of_range(output, f"{seen}.", fix))
        elif high == units and low >= 1:
            text = f"{seen}, but {units} units have the indices 0 to {units - 1}."
            found.append(_out_of_range(output, text, f"{name} = {name} - 1"))
    return found


@rule("model")
def binary_labels_out_of_range(facts: Facts) -> list[Finding]:
    """A binary cross-entropy takes labels in [0, 1], for any number of units.

    At least 5 % of the labels must lie outside. One column of real numbers is a
    regression, and one of many classes needs more outputs: both have their own rules.
    """
    found = []
    for output in outputs_of(facts):
        loss, target = output.loss, output.target
        if target is None or not loss.is_binary:
            continue
        low, high, name = target.minimum, target.maximum, target.name
        if target.kind == "signed":
            text = f"The labels are -1 and 1, but `{loss.name}` expects 0 and 1."
            found.append(_out_of_range(output, text, f"{name} = ({name} + 1) / 2"))
        elif target.kind in ("class_ids", "integers") and target.distinct == 2:
            text = (
                f"The labels are {low:g} and {high:g}, but `{loss.name}` expects 0 "
                "and 1."
            )
            fix = f"{name} = ({name} == {high:g}).astype('float32')"
            found.append(_out_of_range(output, text, fix))
        elif outside(target, 0, 1) >= UNREACHABLE and (
            not output.is_scalar or is_image_like(facts, target)
        ):
            text = (
                f"The targets reach from {low:.3g} to {high:.3g}, but `{loss.name}` "
                "expects values in [0, 1]."
            )
            found.append(_out_of_range(output, text, _into_unit_range(output)))
    return found


@rule("model")
def outside_domain_of_loss(facts: Facts) -> list[Finding]:
    """Poisson rates are positive, and percentage errors divide by the targets."""
    found = []
    for output in outputs_of(facts):
        loss, target = output.loss, output.target
        if target is None:
            continue
        high = max(abs(target.minimum), abs(target.maximum))
        share = float((np.abs(target.values) <= 1e-6 * high).mean())
        if loss.name == "poisson" and target.minimum < 0:
            text = (
                f"The smallest target is {target.minimum:.3g}, but rates are positive."
            )
            fix = advice.with_loss(facts, output, "'mean_squared_error'")
            found.append(_out_of_range(output, text, fix))
        elif loss.name == "mean_absolute_percentage_error" and share >= ZEROS:
            text = f"{share:.0%} of the targets are 0, and the loss divides by them."
            fix = advice.with_loss(facts, output, "'mean_absolute_error'")
            found.append(_out_of_range(output, text, fix))
    return found


@rule("model")
def images_out_of_range(facts: Facts) -> list[Finding]:
    """Targets such as images must lie in the range of a bounded last activation."""
    found = []
    for output in outputs_of(facts):
        target = output.target
        if target is None or not output.loss.is_distance:
            continue
        low, high = bounds_of(output.head.activation)
        share = outside(target, low, high)
        if share >= UNREACHABLE and is_image_like(facts, target):
            text = (
                f"{share:.0%} of the targets lie outside of [{low:g}, {high:g}], "
                f"the range of '{output.head.activation}'; they reach from "
                f"{target.minimum:.3g} to {target.maximum:.3g}."
            )
            found.append(_out_of_range(output, text, _into_unit_range(output)))
    return found


@rule("model")
def constant_labels(facts: Facts) -> list[Finding]:
    """Labels that are all the same leave nothing to learn.

    Rare classes are missing from small samples, so either the sample must be the whole
    data or have at least 1,000 examples, or the head must have three or more classes
    and the sample at least 64 examples. Sorted data can look the same.

    A distance to one value can be the purpose, such as a residual of 0 in a
    physics-informed model, and so can one label through a frozen part, as in a GAN.
    """
    data = facts.data
    if data is None or data.is_autoencoder:
        return []
    found = []
    for output in outputs_of(facts):
        target, loss = output.target, output.loss
        if target is None or not target.is_constant or loss.name is None:
            continue
        is_whole = data.examples in (data.size, max(1000, data.examples))
        has_classes = loss.is_cross_entropy and (output.head.units or 0) >= 3
        enough = data.examples >= 64 if has_classes else is_whole
        if not enough or data.examples < 16:
            continue
        is_meant = facts.model.is_frozen_in_part or loss.is_distance
        severity = "error" if has_classes and is_whole else "warning"
        severity = "hint" if is_meant else severity
        found.append(
            finding(
                "labels_independent_of_inputs",
                severity,
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

    The most significant of a linear model, a forest and neighbors must be within one
    standard deviation of what it reaches by chance on held-out examples. They see the
    columns of a table, but not what embeddings, convolutions and recurrent layers find,
    and no pairs of inputs. Functions such as the parity of many bits escape them as
    well, so this is a hint, and a warning only if the trained model itself is no better
    than a constant, or never was on validation data.
    """
    data = facts.data
    test = data.dependence if data is not None else None
    if data is None or test is None or not sees_all(facts.model):
        return []
    if test.examples < MIN_EXAMPLES or test.significance > 1 or not outputs_of(facts):
        return []
    is_useless = is_over(facts) and (
        outcome_of(facts).is_trivial or never_predicts(facts, strict=-3.0)
    )
    return [
        finding(
            "labels_independent_of_inputs",
            "warning" if is_useless else "hint",
            f"data `{data.targets[0].name}`",
            [
                Evidence(
                    f"On held-out parts of {test.examples} examples, the best of a "
                    f"linear model, a forest and nearest neighbors removes "
                    f"{test.best:.1%} of the loss of a constant; by chance it is "
                    f"{test.trivial:.1%}.",
                    test.best,
                    test.trivial + test.deviation,
                )
            ],
            "order = np.random.permutation(len(x)); x, y = x[order], y[order]  "
            "# instead of shuffling x and y separately",
            "Read inputs and labels again, in the same order.",
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
            f"classes, {target.name} = np.unique({target.name}, return_inverse=True)",
        )
        for target in (data.targets if data else ())
        if target.kind == "strings" and outputs_of(facts)
    ]


def _out_of_range(output: Output, text: str, fix: str) -> Finding:
    name = output.target.name if output.target is not None else "y"
    return finding(
        "labels_out_of_range", "error", f"data `{name}`", text, fix, picture="outputs"
    )


def _into_unit_range(output: Output) -> str:
    """Returns code that scales targets into [0, 1]; gray levels are divided by 255."""
    target = output.target
    if target is None:
        return ""
    name, low, high = target.name, target.minimum, target.maximum
    if low < 0:
        return f"{name} = ({name} - {name}.min()) / ({name}.max() - {name}.min())"
    return f"{name} = {name} / {255 if 100 < high <= 255 else high:g}"


RULES = (
    class_ids_out_of_range,
    binary_labels_out_of_range,
    outside_domain_of_loss,
    images_out_of_range,
    targets_not_scaled,
    constant_labels,
    labels_without_dependence,
    strings,
)
