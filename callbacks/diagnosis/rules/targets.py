"""Rules on targets that do not fit the outputs: number, encoding, kind and range."""

import math

from ..facts import Facts
from ..finding import Finding, finding
from ..reading.graph import BOUNDED
from . import advice
from .outputs import (
    UNREACHABLE,
    Output,
    is_image_like,
    num_classes,
    outputs_of,
    outside,
)
from .rule import rule


@rule("model")
def one_unit_for_categories(facts: Facts) -> list[Finding]:
    """A categorical cross-entropy needs one output per class, so at least two.

    Over a single unit the categorical cross-entropy is a constant: it normalizes the
    output to 1.
    """
    found = []
    for output in outputs_of(facts):
        head, loss = output.head, output.loss
        is_categorical = loss.is_categorical or loss.is_sparse
        if not output.is_scalar or not is_categorical or head.activation == "softmax":
            continue
        classes = num_classes(output.target)
        if head.activation in ("sigmoid", "linear") and classes in (None, 1, 2):
            from_logits = head.activation == "linear"
            found.append(
                finding(
                    "loss_head_mismatch",
                    "error",
                    "argument `loss`",
                    f"Layer '{head.layer}' has 1 unit, for which `{loss.name}` is "
                    "constant.",
                    advice.with_loss(
                        f"keras.losses.BinaryCrossentropy(from_logits={from_logits})"
                    ),
                    picture="loss",
                )
            )
            continue
        found.append(_wrong_number(output, classes, 1, "softmax"))
    return found


@rule("model")
def outputs_against_classes(facts: Facts) -> list[Finding]:
    """The classes in the labels must have outputs, and targets the outputs' width."""
    found = []
    for output in outputs_of(facts):
        head, loss, target = output.head, output.loss, output.target
        units = head.units
        if target is None or units is None or target.kind == "strings":
            continue
        if loss.is_sparse and units > 1 and target.kind == "class_ids":
            needed = int(target.maximum) + 1
            starts_at_one = target.maximum == units and target.minimum >= 1
            if needed > units and not starts_at_one:
                found.append(_wrong_number(output, needed, units, head.activation))
        elif loss.is_binary and output.is_scalar and target.kind == "class_ids":
            is_two = target.distinct <= 2
            if not is_two and target.width == 1:
                needed = int(target.maximum) + 1
                found.append(_wrong_number(output, needed, units, "softmax"))
        elif _differs_in_width(output):
            found.append(_wrong_width(output))
    return found


@rule("model")
def encoding_against_loss(facts: Facts) -> list[Finding]:
    """Sparse losses take class indices, the others one column per output."""
    found = []
    for output in outputs_of(facts):
        head, loss, target = output.head, output.loss, output.target
        if target is None or head.units in (None, 1):
            continue
        is_same_shape = len(target.shape) == len(head.shape)
        if loss.is_sparse and target.kind == "one_hot" and target.width == head.units:
            if not is_same_shape:
                continue
            loss_name = "'categorical_crossentropy'"
            if loss.from_logits:
                loss_name = "keras.losses.CategoricalCrossentropy(from_logits=True)"
            evidence = (
                f"The labels are one-hot, of width {target.width}, but `{loss.name}` "
                "expects one class index per example."
            )
            fixes = [advice.with_loss(loss_name), "y = y.argmax(axis=-1)"]
        elif (
            (loss.is_categorical or loss.name == "categorical_hinge")
            and target.kind in ("class_ids", "binary")
            and target.width == 1
        ):
            loss_name = "'sparse_categorical_crossentropy'"
            if loss.from_logits:
                loss_name = (
                    "keras.losses.SparseCategoricalCrossentropy(from_logits=True)"
                )
            evidence = (
                f"The labels are class indices, but `{loss.name}` expects one-hot "
                f"labels of width {head.units}."
            )
            fixes = [
                advice.with_loss(loss_name),
                f"y = keras.utils.to_categorical(y, {head.units})",
            ]
        else:
            continue
        found.append(
            finding("loss_head_mismatch", "error", "argument `loss`", evidence, *fixes)
        )
    return found


@rule("model", is_risk=True)
def distance_for_classes(facts: Facts) -> list[Finding]:
    """A squared error between a softmax and one-hot labels has vanishing gradients.

    For a confident wrong prediction the gradient of softmax is almost zero, which a
    cross-entropy compensates, and a distance does not (Goodfellow et al., 2016, section
    6.2.2). The reverse, a cross-entropy for real targets, has no meaning.
    """
    found = []
    for output in outputs_of(facts):
        head, loss, target = output.head, output.loss, output.target
        if target is None:
            continue
        if loss.is_distance and head.activation == "softmax" and not output.is_scalar:
            if target.kind in ("one_hot", "class_ids", "binary"):
                name = (
                    "categorical"
                    if target.kind == "one_hot"
                    else ("sparse_categorical")
                )
                is_same = target.width == head.units
                found.append(
                    finding(
                        "loss_head_mismatch",
                        "warning" if is_same else "error",
                        "argument `loss`",
                        f"`{loss.name}` measures distances, but layer '{head.layer}' "
                        "outputs class probabilities"
                        + ("." if is_same else " and the labels are class indices."),
                        advice.with_loss(f"'{name}_crossentropy'"),
                        picture="loss",
                    )
                )
        elif loss.is_cross_entropy and target.kind == "real" and not output.is_scalar:
            continue  # images and other soft targets are judged by their range
        elif (
            loss.is_cross_entropy
            and output.is_scalar
            and target.kind in ("real", "integers")
            and outside(target, 0, 1) >= UNREACHABLE
        ):
            found.append(
                finding(
                    "loss_head_mismatch",
                    "error",
                    "argument `loss`",
                    f"The targets are real numbers between {target.minimum:.3g} and "
                    f"{target.maximum:.3g}, but `{loss.name}` is for classes.",
                    advice.with_loss("'mean_squared_error'"),
                    advice.layer(head, None, None),
                    picture="outputs",
                )
            )
    return found


@rule("model")
def unreachable_targets(facts: Facts) -> list[Finding]:
    """A bounded activation cannot output targets beyond its bounds.

    At least 5 % of the targets must lie outside, so that outliers do not count. Images
    and other targets of the size of the inputs should be scaled instead, which is
    `labels_out_of_range`.
    """
    found = []
    for output in outputs_of(facts):
        head, loss, target = output.head, output.loss, output.target
        is_distance = loss.is_distance or loss.name == "poisson"
        if target is None or not is_distance or target.kind in ("strings", "one_hot"):
            continue
        if target.is_classes and head.activation == "softmax":
            continue
        low, high = BOUNDED.get(head.activation or "", (-math.inf, math.inf))
        share = outside(target, low, high)
        if share < UNREACHABLE or output.head.node is None:
            continue
        if is_image_like(facts, target):
            continue
        found.append(
            finding(
                "wrong_output_activation",
                "error",
                output.where,
                f"{share:.0%} of the targets lie outside of [{low:g}, {high:g}], the "
                f"range of '{head.activation}'; they reach from {target.minimum:.3g} "
                f"to {target.maximum:.3g}.",
                advice.layer(head, None, "linear"),
                "Or scale the targets into the range of the activation.",
                picture="outputs",
            )
        )
    return found


def _differs_in_width(output: Output) -> bool:
    """Returns whether targets and outputs of a per-unit loss differ in the last axis.

    Keras broadcasts an axis of size 1 in distances, which compares every output with
    every target.
    """
    head, loss, target = output.head, output.loss, output.target
    if target is None or loss.name is None or loss.is_sparse:
        return False
    is_ids = target.kind in ("class_ids", "binary")
    if is_ids and loss.is_distance and head.activation == "softmax":
        return False  # judged as a loss for classes
    if is_ids and loss.is_categorical:
        return False  # judged as an encoding
    same_rank = len(target.shape) == len(head.shape)
    no_axis = not target.shape and len(head.shape) == 1
    return (same_rank or no_axis) and target.width != output.head.units


def _wrong_width(output: Output) -> Finding:
    target, units = output.target, output.head.units
    width = target.width if target is not None else None
    return finding(
        "wrong_num_outputs",
        "error",
        output.where,
        f"The layer has {units} units, but each target has {width} "
        f"column{'s' if width != 1 else ''}.",
        advice.layer(output.head, width, output.head.activation),
        picture="outputs",
    )


def _wrong_number(output: Output, needed, units, activation) -> Finding:
    activation = None if activation == "linear" else activation
    seen = (
        ""
        if output.target is None
        else (
            f" The labels reach from {output.target.minimum:g} to "
            f"{output.target.maximum:g}."
        )
    )
    fixes = [advice.layer(output.head, needed or 2, activation)]
    if not output.loss.is_sparse:
        fixes.append(advice.with_loss("'sparse_categorical_crossentropy'"))
    return finding(
        "wrong_num_outputs",
        "error",
        output.where,
        f"The layer has {units} unit{'s' if units != 1 else ''}, but the labels have "
        f"{needed or 'several'} classes.{seen}",
        *fixes,
        picture="outputs",
    )


RULES = (
    one_unit_for_categories,
    outputs_against_classes,
    encoding_against_loss,
    distance_for_classes,
    unreachable_targets,
)
