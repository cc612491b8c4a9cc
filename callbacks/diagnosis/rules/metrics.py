"""Rules on metrics that do not measure the task."""

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from . import advice
from .outputs import Output, outputs_of
from .rule import rule

ACCURACIES = (
    "accuracy",
    "binary_accuracy",
    "categorical_accuracy",
    "sparse_categorical_accuracy",
    "BinaryAccuracy",
    "CategoricalAccuracy",
    "SparseCategoricalAccuracy",
    "Accuracy",
)
# Fewer distinct values could be classes that are predicted with a distance.
MIN_VALUES = 10
# Share of the most frequent class from which an accuracy says little.
FREQUENT = 0.95


@rule("model")
def accuracy_of_regression(facts: Facts) -> list[Finding]:
    """An accuracy counts exact matches, which real-valued targets never are.

    At least ten distinct targets, of which some are not whole numbers or not classes,
    tell a regression. With one unit, an accuracy rounds the output to 0 or 1, so that
    whole numbers beyond them never match. Metrics are not assigned to outputs, so all
    outputs must be regressions.
    """
    outputs = outputs_of(facts)
    named = [name for name in facts.model.metrics if name in ACCURACIES]
    if not named or not outputs or not all(map(_is_regression, outputs)):
        return []
    is_image = facts.data is not None and facts.data.is_autoencoder
    target = outputs[0].target
    number = target.distinct if target is not None else 0
    return [
        finding(
            "unfit_metric",
            "hint" if is_image else "warning",
            "argument `metrics`",
            f"'{named[0]}' counts exact matches, but the targets are numbers with "
            f"{number} distinct values.",
            advice.compile_with("loss=model.loss, metrics=['mae']"),
        )
    ]


def _is_regression(output: Output) -> bool:
    target = output.target
    if target is None or not output.loss.is_distance:
        return False
    if output.head.activation == "softmax":
        return False
    is_real = target.kind in ("real", "integers") and target.distinct >= MIN_VALUES
    is_count = target.kind == "class_ids" and target.distinct > 2 and output.is_scalar
    return is_real or is_count


@rule("model")
def accuracy_of_another_encoding(facts: Facts) -> list[Finding]:
    """Named accuracies expect their own encoding of labels and number of outputs.

    With one output, `categorical_accuracy` is always 1. With C > 2 one-hot columns,
    `binary_accuracy` counts the many zeros as right.
    """
    outputs = outputs_of(facts)
    if len(outputs) != 1:
        return []
    found = []
    for name in facts.model.metrics:
        problem, better = _problem(name.replace("_", "").lower(), outputs[0])
        if problem:
            found.append(
                finding(
                    "unfit_metric",
                    "warning",
                    "argument `metrics`",
                    f"'{name}' {problem}.",
                    advice.compile_with(f"loss=model.loss, metrics=['{better}']"),
                )
            )
    return found


def _problem(name: str, output: Output) -> tuple[str, str]:
    """Returns what is wrong with a metric, and the name of a better one."""
    units, target, head = output.head.units, output.target, output.head
    kind = target.kind if target is not None else ""
    width = target.width if target is not None else 0
    is_softmax = head.activation == "softmax"
    if name == "categoricalaccuracy" and units == 1:
        return "compares the largest of 1 output, and is always 1", "binary_accuracy"
    if name == "binaryaccuracy" and is_softmax and (units or 0) > 2:
        return f"counts each of the {units} outputs as one decision", "accuracy"
    if name == "categoricalaccuracy" and kind == "class_ids" and width == 1:
        return (
            "expects one-hot labels, but the labels are class indices",
            "sparse_categorical_accuracy",
        )
    is_wide = target is not None and units == width and target.shape == head.shape
    if name == "sparsecategoricalaccuracy" and kind == "one_hot" and is_wide:
        return (
            "expects class indices, but the labels are one-hot",
            "categorical_accuracy",
        )
    return "", ""


@rule("model")
def accuracy_of_many_labels(facts: Facts) -> list[Finding]:
    """For several columns, "accuracy" compares the largest output with the first label.

    With several labels per example, this says little about the others.
    """
    return [
        finding(
            "unfit_metric",
            "hint",
            "argument `metrics`",
            "'accuracy' compares only the largest output, but examples have several "
            "labels.",
            advice.compile_with("loss=model.loss, metrics=['binary_accuracy']"),
        )
        for output in outputs_of(facts)
        if len(facts.model.losses) == 1
        and output.loss.is_binary
        and "accuracy" in facts.model.metrics
        and output.target is not None
        and output.target.kind == "multi_hot"
    ]


@rule("model")
def accuracy_of_rare_classes(facts: Facts) -> list[Finding]:
    """With one class in most examples, a constant has a high accuracy as well."""
    found = []
    for output in outputs_of(facts):
        classes = output.target.classes() if output.target is not None else None
        if classes is None or not output.loss.is_cross_entropy or len(classes) < 100:
            continue
        share = float(np.unique(classes, return_counts=True)[1].max() / len(classes))
        if "accuracy" in facts.model.metrics and FREQUENT <= share < 1:
            found.append(
                finding(
                    "unfit_metric",
                    "hint",
                    "argument `metrics`",
                    Evidence(
                        f"{share:.1%} of the labels are the same, and a constant "
                        "reaches this accuracy.",
                        share,
                        FREQUENT,
                    ),
                    advice.compile_with(f"loss=model.loss, {_of_rare(output)}"),
                    "Weight the classes by the `class_weight` of `fit`.",
                )
            )
    return found


def _of_rare(output: Output) -> str:
    """Returns metrics that a constant cannot raise, or that follow the weights."""
    if not output.is_scalar:
        return "weighted_metrics=['accuracy']"
    is_logit = bool(output.loss.from_logits)
    return f"metrics=[keras.metrics.AUC(from_logits={is_logit})]"


@rule("model")
def threshold_on_logits(facts: Facts) -> list[Finding]:
    """The accuracy of one logit uses the threshold 0.5 instead of 0.

    This shifts the decision, but does not change what is learned.
    """
    return [
        finding(
            "unfit_metric",
            "hint",
            "argument `metrics`",
            "'accuracy' uses the threshold 0.5, but the output is a logit, which is 0 "
            "at probability 0.5.",
            advice.compile_with(
                "loss=model.loss, metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)]"
            ),
        )
        for output in outputs_of(facts)
        if output.is_scalar
        and len(facts.model.losses) == 1
        and output.loss.is_binary
        and output.loss.from_logits
        and output.head.activation == "linear"
        and "accuracy" in facts.model.metrics
    ]


RULES = (
    accuracy_of_regression,
    accuracy_of_another_encoding,
    accuracy_of_many_labels,
    accuracy_of_rare_classes,
    threshold_on_logits,
)
