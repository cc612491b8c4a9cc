"""Rules on the loss, the last activation and `from_logits`.

They read the model instead of its curves: on TensorFlow, the cross-entropies of Keras
use the logits behind a softmax or sigmoid, so a wrong head can have a loss that falls
as it should.
"""

from ..facts import Facts
from ..finding import Finding, finding
from . import advice
from .outputs import UNREACHABLE, class_of, num_classes, outputs_of, probability_layer
from .rule import rule

NOT_PROBABILITIES = ("linear", "relu", "tanh", "softplus", "elu", "selu", "gelu")
PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid")


@rule("model")
def softmax_on_one_unit(facts: Facts) -> list[Finding]:
    """A softmax over a single unit is 1 for every input, by its definition.

    Nothing but the number of units and the axis decides, so there is no margin.
    """
    found = []
    for output in outputs_of(facts):
        head = output.head
        if head.activation == "softmax" and head.axis == -1 and output.is_scalar:
            classes = num_classes(output.target)
            more = classes is not None and classes > 2
            fix = (
                advice.layer(head, classes, "softmax")
                if more or output.loss.is_sparse
                else advice.layer(head, 1, "sigmoid")
            )
            loss = "categorical" if more else "binary"
            found.append(
                finding(
                    "wrong_output_activation",
                    "error",
                    output.where,
                    "The softmax is over 1 unit, so every prediction is exactly 1.",
                    fix,
                    f"Use a {loss} cross-entropy as the loss.",
                    picture="outputs",
                )
            )
    return found


@rule("model")
def logits_against_probabilities(facts: Facts) -> list[Finding]:
    """A cross-entropy with `from_logits=False` takes the logarithm of the outputs.

    It clips outputs to [1e-7, 1 - 1e-7], so the gradient of an output outside of that
    range is zero, and its value is meaningless.
    """
    found = []
    for output in outputs_of(facts):
        head, loss = output.head, output.loss
        is_wrong = head.activation in (*NOT_PROBABILITIES, "log_softmax")
        needs = loss.is_cross_entropy and loss.from_logits is False
        needs = needs or (loss.name == "kl_divergence" and head.activation == "linear")
        # A single unit with a categorical loss has the wrong number of units first.
        if not needs or not is_wrong or (output.is_scalar and not loss.is_binary):
            continue
        if head.activation in ("linear", "log_softmax") and loss.is_cross_entropy:
            name = class_of(loss)
            found.append(
                finding(
                    "loss_head_mismatch",
                    "error",
                    "argument `loss`",
                    f"Layer '{head.layer}' outputs logits without an activation, but "
                    f"`{loss.name}` has from_logits=False and expects probabilities.",
                    advice.with_loss(f"keras.losses.{name}(from_logits=True)"),
                    f"Or end with probabilities: {probability_layer(output)}",
                    picture="loss",
                )
            )
        elif loss.is_cross_entropy or loss.name == "kl_divergence":
            found.append(
                finding(
                    "wrong_output_activation",
                    "error",
                    output.where,
                    f"The activation '{head.activation}' does not give probabilities, "
                    f"which `{loss.name}` expects.",
                    probability_layer(output),
                    "Or remove the activation and use from_logits=True.",
                    picture="outputs",
                )
            )
    return found


@rule("model")
def probabilities_against_logits(facts: Facts) -> list[Finding]:
    """With `from_logits=True`, the loss applies a second softmax or sigmoid.

    Probabilities as logits differ by at most 1, so the most likely of C classes gets at
    most e / (e + C - 1), and the loss stays near log C. On TensorFlow, Keras finds the
    logits behind the activation, so this is only a hint there.
    """
    found = []
    for output in outputs_of(facts):
        head, loss = output.head, output.loss
        if not loss.from_logits or head.activation not in (*PROBABILITIES, "relu"):
            continue
        is_harmless = output.finds_logits and head.activation in PROBABILITIES
        if output.is_scalar and head.activation == "softmax":
            continue  # constant, whatever the loss
        if head.activation == "relu":
            found.append(
                finding(
                    "wrong_output_activation",
                    "warning",
                    output.where,
                    "The ReLU removes all negative logits: a unit whose logits are "
                    "negative gets no gradient.",
                    advice.layer(head, None, None),
                    picture="outputs",
                )
            )
            continue
        found.append(
            finding(
                "loss_head_mismatch",
                "hint" if is_harmless else "warning",
                "argument `loss`",
                f"Layer '{head.layer}' ends in a {head.activation}, but "
                f"`{loss.name}` has from_logits=True and applies another one"
                + (" (TensorFlow uses the logits)." if is_harmless else "."),
                advice.with_loss(f"keras.losses.{class_of(loss)}(from_logits=False)"),
                f"Or remove the activation: {advice.layer(head, None, None)}",
                picture="loss",
            )
        )
    return found


@rule("model")
def activation_for_another_loss(facts: Facts) -> list[Finding]:
    """Softmax belongs to one label per example, sigmoid to independent labels.

    A softmax with a binary cross-entropy treats one choice among C classes as C
    independent ones; a sigmoid with a categorical cross-entropy gives numbers that do
    not sum to 1.
    """
    found = []
    for output in outputs_of(facts):
        head, loss, target = output.head, output.loss, output.target
        if output.is_scalar:
            continue
        where = "argument `loss`"
        if head.activation == "softmax" and loss.is_binary:
            if target is not None and target.kind == "multi_hot":
                fix = advice.layer(head, None, "sigmoid")
                where = output.where
            else:
                is_ids = target is not None and target.kind in ("class_ids", "binary")
                name = "sparse_categorical" if is_ids else "categorical"
                fix = advice.with_loss(repr(f"{name}_crossentropy"))
            found.append(
                finding(
                    "loss_head_mismatch",
                    "warning",
                    where,
                    f"Layer '{head.layer}' ends in a softmax over {head.units} units, "
                    f"but `{loss.name}` treats the units as independent.",
                    fix,
                    picture="outputs",
                )
            )
        elif head.activation in ("sigmoid", "hard_sigmoid") and (
            loss.is_categorical or loss.is_sparse
        ):
            is_multi = target is not None and target.kind == "multi_hot"
            found.append(
                finding(
                    "loss_head_mismatch",
                    "warning",
                    where if is_multi else output.where,
                    f"Layer '{head.layer}' ends in a sigmoid, whose {head.units} "
                    f"outputs do not sum to 1, but `{loss.name}` expects one "
                    "distribution over the classes.",
                    advice.with_loss("'binary_crossentropy'")
                    if is_multi
                    else advice.layer(head, None, "softmax"),
                    picture="outputs",
                )
            )
        elif head.activation == "softmax" and loss.is_categorical and target:
            sums = target.values.sum(axis=-1) if target.kind == "multi_hot" else None
            if sums is not None and (sums > 1).mean() >= UNREACHABLE:
                found.append(
                    finding(
                        "loss_head_mismatch",
                        "warning",
                        "argument `loss`",
                        f"{(sums > 1).mean():.0%} of the examples have several labels, "
                        "but a softmax chooses one.",
                        advice.with_loss("'binary_crossentropy'"),
                        advice.layer(head, None, "sigmoid"),
                        picture="outputs",
                    )
                )
    return found


@rule("model")
def activation_on_activation(facts: Facts) -> list[Finding]:
    """A softmax of a bounded or rectified activation cannot become confident.

    A softmax of probabilities gives the most likely of C classes at most
    e / (e + C - 1), which is 0.23 for ten classes. On TensorFlow this holds as well:
    the logits behind the last softmax are the probabilities of the first.
    """
    found = []
    for output in outputs_of(facts):
        head = output.head
        inner = ("softmax", "sigmoid", "tanh", "relu")
        if head.activation not in ("softmax", "sigmoid") or head.before not in inner:
            continue
        if output.is_scalar and head.activation == "softmax":
            continue
        found.append(
            finding(
                "wrong_output_activation",
                "warning",
                output.where,
                f"The output is a {head.activation} of a {head.before}, which limits "
                "how confident it can be.",
                advice.layer(head, None, None),
                picture="outputs",
            )
        )
    return found


@rule("model")
def rates_below_zero(facts: Facts) -> list[Finding]:
    """The Poisson loss takes the logarithm of the outputs: they must be positive."""
    return [
        finding(
            "loss_head_mismatch",
            "error",
            output.where,
            f"`poisson` takes the logarithm of the outputs, but '{output.head.layer}' "
            f"ends in '{output.head.activation}' and can be negative.",
            advice.layer(output.head, None, "exponential"),
        )
        for output in outputs_of(facts)
        if output.loss.name == "poisson"
        and output.head.activation in ("linear", "tanh", "elu", "selu")
    ]


@rule("model")
def hinge_on_probabilities(facts: Facts) -> list[Finding]:
    """A hinge loss compares the sign of the output, which a sigmoid never changes."""
    return [
        finding(
            "loss_head_mismatch",
            "warning",
            output.where,
            f"`{output.loss.name}` expects outputs of both signs, but "
            f"'{output.head.activation}' is never negative.",
            advice.layer(output.head, None, "linear"),
            "Or use binary_crossentropy as the loss.",
        )
        for output in outputs_of(facts)
        if output.loss.name in ("hinge", "squared_hinge")
        and output.head.activation in ("sigmoid", "relu", "softmax", "hard_sigmoid")
    ]


RULES = (
    softmax_on_one_unit,
    logits_against_probabilities,
    probabilities_against_logits,
    activation_for_another_loss,
    activation_on_activation,
    rates_below_zero,
    hinge_on_probabilities,
)
