"""Rules on targets that do not fit the outputs: number, encoding, kind and range."""

from ..facts import Facts
from ..finding import Finding, finding
from . import advice
from .outputs import (
    UNREACHABLE,
    Output,
    bounds_of,
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
            new = advice.loss_code(
                loss, "binary_crossentropy", from_logits=head.activation == "linear"
            )
            found.append(
                finding(
                    "loss_head_mismatch",
                    "error",
                    "argument `loss`",
                    f"Layer '{head.layer}' has 1 unit, for which `{loss.name}` is "
                    "constant.",
                    advice.with_loss(facts, output, new),
                    picture="loss",
                )
            )
            continue
        found.append(_wrong_number(facts, output, classes, "softmax"))
    return found


@rule("model")
def outputs_against_classes(facts: Facts) -> list[Finding]:
    """The classes in the labels must have outputs, and targets the outputs' width."""
    found = []
    for output in outputs_of(facts):
        head, loss, target = output.head, output.loss, output.target
        units = head.units
        if target is None or units is None:
            continue
        is_ids = target.kind in ("class_ids", "integers") and target.minimum >= 0
        if loss.is_sparse and units > 1 and is_ids:
            needed = int(target.maximum) + 1
            starts_at_one = target.maximum == units and target.minimum >= 1
            if needed > units and not starts_at_one:
                found.append(_wrong_number(facts, output, needed, head.activation))
        elif loss.is_binary and output.is_scalar and target.kind == "class_ids":
            if target.distinct > 2 and target.width == 1:
                needed = int(target.maximum) + 1
                found.append(_wrong_number(facts, output, needed, "softmax"))
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
        takes_columns = loss.is_categorical or loss.name == "categorical_hinge"
        if loss.is_sparse and target.kind == "one_hot" and target.width == head.units:
            if not is_same_shape:
                continue
            new = advice.loss_code(loss, "categorical_crossentropy")
            evidence = (
                f"The labels are one-hot, of width {target.width}, but `{loss.name}` "
                "expects one class index per example."
            )
            other = f"{target.name} = {target.name}.argmax(axis=-1)"
        elif (
            takes_columns
            and target.kind in ("class_ids", "binary")
            and target.width == 1
        ):
            new = advice.loss_code(loss, "sparse_categorical_crossentropy")
            evidence = (
                f"The labels are class indices, but `{loss.name}` expects one-hot "
                f"labels of width {head.units}."
            )
            other = (
                f"{target.name} = keras.utils.to_categorical({target.name}, "
                f"{head.units})"
            )
        else:
            continue
        fixes = [advice.with_loss(facts, output, new), other]
        if loss.name == "categorical_hinge":
            fixes.reverse()
        found.append(
            finding("loss_head_mismatch", "error", "argument `loss`", evidence, *fixes)
        )
    return found


@rule("model", is_risk=True)
def distance_for_classes(facts: Facts) -> list[Finding]:
    """A squared error between a softmax and one-hot labels has vanishing gradients.

    For a confident wrong prediction the gradient of softmax is almost zero, which a
    cross-entropy compensates, and a distance does not (Goodfellow et al., 2016, section
    6.2.2). A run that ends well with it shows no harm: the squared error is a proper
    score as well (Hui & Belkin, 2021).
    """
    return [
        finding(
            "loss_head_mismatch",
            "warning",
            "argument `loss`",
            f"`{output.loss.name}` measures distances, but layer "
            f"'{output.head.layer}' outputs class probabilities.",
            advice.with_loss(facts, output, "'categorical_crossentropy'"),
            picture="loss",
        )
        for output in outputs_of(facts)
        if output.loss.is_distance
        and output.head.activation == "softmax"
        and not output.is_scalar
        and output.target is not None
        and output.target.kind == "one_hot"
        and output.target.width == output.head.units
    ]


@rule("model")
def distance_to_class_ids(facts: Facts) -> list[Finding]:
    """A distance between the outputs of all classes and a class index has no meaning.

    Outputs of all classes are a softmax, or as many units as there are classes.
    """
    found = []
    for output in outputs_of(facts):
        if not _is_distance_to_ids(output):
            continue
        head = output.head
        is_logits = "True" if head.activation == "linear" else "False"
        found.append(
            finding(
                "loss_head_mismatch",
                "error",
                "argument `loss`",
                f"`{output.loss.name}` measures distances, but layer '{head.layer}' "
                f"has {head.units} outputs, and the labels are class indices.",
                advice.with_loss(
                    facts,
                    output,
                    "keras.losses.SparseCategoricalCrossentropy"
                    f"(from_logits={is_logits})",
                ),
                *(
                    ()
                    if head.activation in ("linear", "softmax")
                    else (advice.layer(head, None, "softmax"),)
                ),
                picture="loss",
            )
        )
    return found


@rule("model")
def cross_entropy_for_quantities(facts: Facts) -> list[Finding]:
    """A cross-entropy of one unit has no meaning for real targets beyond [0, 1].

    Targets of the size of an input are images, which should be scaled instead.
    """
    found = []
    for output in outputs_of(facts):
        head, loss, target = output.head, output.loss, output.target
        if target is None or not (loss.is_cross_entropy and output.is_scalar):
            continue
        is_quantity = target.kind in ("real", "integers") and target.distinct > 2
        if not is_quantity or is_image_like(facts, target):
            continue
        if outside(target, 0, 1) >= UNREACHABLE:
            found.append(
                finding(
                    "loss_head_mismatch",
                    "error",
                    "argument `loss`",
                    f"The targets are real numbers between {target.minimum:.3g} and "
                    f"{target.maximum:.3g}, but `{loss.name}` is for classes.",
                    advice.with_loss(facts, output, "'mean_squared_error'"),
                    f"End without an activation: {advice.layer(head, None, None)}",
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
        if target is None or not is_distance or target.kind == "one_hot":
            continue
        if target.is_classes and head.activation == "softmax":
            continue
        if _is_distance_to_ids(output):
            continue  # judged as a loss for classes
        low, high = bounds_of(head.activation)
        share = outside(target, low, high)
        if share < UNREACHABLE or head.node is None or is_image_like(facts, target):
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


def _is_distance_to_ids(output: Output) -> bool:
    units, target = output.head.units, output.target
    if target is None or not output.loss.is_distance or units in (None, 1):
        return False
    if target.kind not in ("class_ids", "binary") or target.width == units:
        return False
    is_per_class = units > 2 and target.width == 1 and num_classes(target) == units
    return output.head.activation == "softmax" or is_per_class


def _differs_in_width(output: Output) -> bool:
    """Returns whether targets and outputs of a per-unit loss differ in the last axis.

    Keras broadcasts an axis of size 1 in distances, which compares every output with
    every target.
    """
    head, loss, target = output.head, output.loss, output.target
    if target is None or loss.name is None or loss.is_sparse:
        return False
    is_ids = target.kind in ("class_ids", "binary")
    if _is_distance_to_ids(output):
        return False  # judged as a loss for classes
    if is_ids and (loss.is_categorical or loss.name == "categorical_hinge"):
        return False  # judged as an encoding
    same_rank = len(target.shape) == len(head.shape)
    no_axis = not target.shape and len(head.shape) == 1
    return (same_rank or no_axis) and target.width != output.head.units


def _wrong_width(output: Output) -> Finding:
    """Describes a wrong width, which is a warning if Keras broadcasts the targets.

    Each output learns the same target then, as in an ensemble.
    """
    head, target = output.head, output.target
    width = target.width if target is not None else None
    is_broadcast = output.loss.is_distance and width == 1
    return finding(
        "wrong_num_outputs",
        "warning" if is_broadcast else "error",
        output.where,
        f"The layer has {head.units} units, but each target has {width} "
        f"column{'s' if width != 1 else ''}.",
        advice.layer(head, width, head.activation),
        picture="outputs",
    )


def _wrong_number(facts: Facts, output: Output, needed, activation) -> Finding:
    activation = None if activation == "linear" else activation
    units, target = output.head.units, output.target
    seen = (
        ""
        if target is None
        else f" The labels reach from {target.minimum:g} to {target.maximum:g}."
    )
    fixes = [advice.layer(output.head, needed or 2, activation)]
    if not output.loss.is_sparse:
        new = advice.loss_code(output.loss, "sparse_categorical_crossentropy")
        fixes.append(advice.with_loss(facts, output, new))
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
    distance_to_class_ids,
    cross_entropy_for_quantities,
    unreachable_targets,
)
