"""Rules on metrics that do not measure the task."""

from ..facts import Facts
from ..finding import Finding, finding
from . import advice
from .outputs import outputs_of
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


@rule("model")
def accuracy_of_regression(facts: Facts) -> list[Finding]:
    """An accuracy counts exact matches, which real-valued targets never are.

    At least ten distinct targets, of which some are not whole numbers or not classes,
    tell a regression.
    """
    found = []
    named = [name for name in facts.model.metrics if name in ACCURACIES]
    for output in outputs_of(facts):
        target = output.target
        if not named or target is None or not output.loss.is_distance:
            continue
        is_real = target.kind in ("real", "integers") and target.distinct >= MIN_VALUES
        is_image = facts.data is not None and facts.data.is_autoencoder
        if is_real and output.head.activation != "softmax":
            found.append(
                finding(
                    "unfit_metric",
                    "hint" if is_image else "warning",
                    "argument `metrics`",
                    f"'{named[0]}' counts exact matches, but the targets are real "
                    f"numbers with {target.distinct} distinct values.",
                    advice.compile_with("loss=model.loss").replace(
                        "metrics=...", "metrics=['mae']"
                    ),
                )
            )
    return found


@rule("model")
def accuracy_of_another_encoding(facts: Facts) -> list[Finding]:
    """Named accuracies expect their own encoding of labels and number of outputs.

    With one output, `categorical_accuracy` is always 1. With C > 2 one-hot columns,
    `binary_accuracy` counts the many zeros as right.
    """
    found: list[Finding] = []
    if len(facts.model.losses) != 1:
        return found
    for output in outputs_of(facts):
        units, target = output.head.units, output.target
        for name in facts.model.metrics:
            plain = name.replace("_", "").lower()
            problem = ""
            if plain == "categoricalaccuracy" and units == 1:
                problem = "compares the largest of 1 output, and is always 1"
                better = "binary_accuracy"
            elif (
                plain == "binaryaccuracy"
                and units is not None
                and units > 2
                and output.head.activation == "softmax"
            ):
                problem = f"counts each of the {units} outputs as one decision"
                better = "accuracy"
            elif (
                plain == "categoricalaccuracy"
                and target is not None
                and target.kind == "class_ids"
                and target.width == 1
                and units != 1
            ):
                problem = "expects one-hot labels, but the labels are class indices"
                better = "sparse_categorical_accuracy"
            if problem:
                found.append(
                    finding(
                        "unfit_metric",
                        "warning",
                        "argument `metrics`",
                        f"'{name}' {problem}.",
                        advice.compile_with("loss=model.loss").replace(
                            "metrics=...", f"metrics=['{better}']"
                        ),
                    )
                )
    return found


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
            advice.compile_with("loss=model.loss").replace(
                "metrics=...", "metrics=[keras.metrics.BinaryAccuracy(threshold=0.0)]"
            ),
        )
        for output in outputs_of(facts)
        if output.is_scalar
        and output.loss.is_binary
        and output.loss.from_logits
        and output.head.activation == "linear"
        and "accuracy" in facts.model.metrics
    ]


RULES = (accuracy_of_regression, accuracy_of_another_encoding, threshold_on_logits)
