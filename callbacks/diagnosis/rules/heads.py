"""Rules on cross-entropies, the last activation and `from_logits`.

They read the model instead of its curves: on TensorFlow, the cross-entropies of Keras
use the logits behind a softmax or sigmoid, so a wrong head can have a loss that falls
as it should.
"""

import numpy as np

from ..facts import Facts
from ..finding import Finding, finding
from ..outcome import outcome_of
from . import advice
from .outputs import (
    UNREACHABLE,
    Output,
    is_first_look,
    num_classes,
    outputs_of,
)
from .rule import rule

PROBABILITIES = ("softmax", "sigmoid", "hard_sigmoid", "sparsemax")
LOGITS = ("linear", "log_softmax", "log_sigmoid")
LIMITED = ("tanh", "hard_tanh", "softsign")


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
            more = output.loss.is_sparse or (classes is not None and classes > 2)
            found.append(
                finding(
                    "wrong_output_activation",
                    "error",
                    output.where,
                    "The softmax is over 1 unit, so every prediction is exactly 1.",
                    advice.layer(head, max(classes or 2, 2), "softmax")
                    if more
                    else advice.layer(head, 1, "sigmoid"),
                    f"Use a {'categorical' if more else 'binary'} cross-entropy as the "
                    "loss.",
                    picture="outputs",
                )
            )
    return found


@rule("model")
def logits_against_probabilities(facts: Facts) -> list[Finding]:
    """A cross-entropy with `from_logits=False` takes the logarithm of the outputs.

    It clips outputs to [1e-7, 1 - 1e-7], so the gradient of an output outside of that
    range is zero, and its value is meaningless. Categorical cross-entropies divide the
    outputs by their sum, which turns exponentials into a softmax.
    """
    found = []
    for output in outputs_of(facts):
        head, loss = output.head, output.loss
        is_wrong = head.activation not in (None, *PROBABILITIES)
        if head.activation == "exponential" and not loss.is_binary:
            is_wrong = False
        needs = loss.is_cross_entropy and loss.from_logits is False
        needs = needs or (loss.name == "kl_divergence" and head.activation == "linear")
        # A single unit with a categorical loss has the wrong number of units first.
        if not needs or not is_wrong or (output.is_scalar and not loss.is_binary):
            continue
        if head.activation in LOGITS and loss.is_cross_entropy:
            found.append(_logits(facts, output))
        else:
            found.append(
                finding(
                    "wrong_output_activation",
                    "error",
                    output.where,
                    f"The activation '{head.activation}' does not give probabilities, "
                    f"which `{loss.name}` expects.",
                    advice.probability_layer(output),
                    "Or remove the activation and use from_logits=True.",
                    picture="outputs",
                )
            )
    return found


def _logits(facts: Facts, output: Output) -> Finding:
    head, loss = output.head, output.loss
    return finding(
        "loss_head_mismatch",
        "error",
        "argument `loss`",
        f"Layer '{head.layer}' outputs logits without an activation, but "
        f"`{loss.name}` has from_logits=False and expects probabilities.",
        advice.with_loss(facts, output, advice.loss_code(loss, from_logits=True)),
        f"Or end with probabilities: {advice.probability_layer(output)}",
        picture="loss",
    )


@rule("model")
def probabilities_against_logits(facts: Facts) -> list[Finding]:
    """With `from_logits=True`, the loss applies a second softmax or sigmoid.

    Probabilities as logits differ by at most 1, so the most likely of C classes gets at
    most e / (e + C - 1), and the loss stays near log C. On TensorFlow, Keras finds the
    logits behind a last softmax or sigmoid, so this is only a hint there.
    """
    found = []
    for output in outputs_of(facts):
        head, loss = output.head, output.loss
        if not loss.from_logits or (output.is_scalar and head.activation == "softmax"):
            continue  # a softmax over one unit is constant, whatever the loss
        if head.activation in PROBABILITIES:
            found.append(_second_activation(facts, output))
        elif head.activation in ("relu", *LIMITED):
            found.append(
                finding(
                    "wrong_output_activation",
                    "warning",
                    output.where,
                    "The ReLU removes all negative logits: a unit whose logits are "
                    "negative gets no gradient."
                    if head.activation == "relu"
                    else f"The logits are limited to [-1, 1] by '{head.activation}', "
                    "which limits how confident predictions can be.",
                    advice.layer(head, None, None),
                    picture="outputs",
                )
            )
    return found


def _second_activation(facts: Facts, output: Output) -> Finding:
    head, loss, is_harmless = output.head, output.loss, output.finds_logits
    return finding(
        "loss_head_mismatch",
        "hint" if is_harmless else "warning",
        "argument `loss`",
        f"Layer '{head.layer}' ends in a {head.activation}, but "
        f"`{loss.name}` has from_logits=True and applies another one"
        + (" (TensorFlow uses the logits)." if is_harmless else "."),
        advice.with_loss(facts, output, advice.loss_code(loss, from_logits=False)),
        f"Or remove the activation: {advice.layer(head, None, None)}",
        picture="loss",
    )


@rule("model")
def softmax_for_independent_labels(facts: Facts) -> list[Finding]:
    """Softmax belongs to one label per example, sigmoid to independent labels.

    A softmax with a binary cross-entropy treats one choice among C classes as C
    independent ones. For two classes this is the categorical cross-entropy: both terms
    are equal. The right fix depends on the labels, so the rule waits for them: if an
    example can have several labels, the softmax cannot reach them.
    """
    found = []
    for output in outputs_of(facts):
        head, loss, target = output.head, output.loss, output.target
        if output.is_scalar or head.activation != "softmax" or is_first_look(facts):
            continue
        if head.axis != -1:
            continue
        sums = target.values.sum(axis=-1) if target is not None else np.zeros(1)
        is_multi = target is not None and target.kind == "multi_hot"
        several = float((sums > 1).mean()) if is_multi else 0.0
        if loss.is_binary:
            is_ids = target is not None and target.kind in ("class_ids", "binary")
            name = "sparse_categorical" if is_ids else "categorical"
            new = advice.loss_code(loss, f"{name}_crossentropy")
            is_equal = head.units == 2 and not is_multi and not is_ids
            found.append(
                finding(
                    "wrong_output_activation" if is_multi else "loss_head_mismatch",
                    "hint" if is_equal else "warning",
                    output.where if is_multi else "argument `loss`",
                    f"Layer '{head.layer}' ends in a softmax over {head.units} units, "
                    f"but `{loss.name}` treats the units as independent.",
                    advice.layer(head, None, "sigmoid")
                    if is_multi
                    else advice.with_loss(facts, output, new),
                    picture="outputs",
                )
            )
        elif loss.is_categorical and several >= UNREACHABLE:
            new = advice.loss_code(loss, "binary_crossentropy")
            found.append(
                finding(
                    "loss_head_mismatch",
                    "warning",
                    "argument `loss`",
                    f"{several:.0%} of the examples have several labels, but a softmax "
                    "chooses one.",
                    advice.with_loss(facts, output, new),
                    advice.layer(head, None, "sigmoid"),
                    picture="outputs",
                )
            )
    return found


@rule("model")
def sigmoid_for_one_of_many(facts: Facts) -> list[Finding]:
    """A sigmoid with a categorical cross-entropy gives outputs that do not sum to 1.

    The right fix depends on the labels, so the rule waits for them.
    """
    found = []
    for output in outputs_of(facts):
        head, loss, target = output.head, output.loss, output.target
        is_sigmoid = head.activation in ("sigmoid", "hard_sigmoid")
        is_categorical = loss.is_categorical or loss.is_sparse
        if output.is_scalar or is_first_look(facts):
            continue
        if not is_sigmoid or not is_categorical:
            continue
        is_multi = target is not None and target.kind == "multi_hot"
        new = advice.loss_code(loss, "binary_crossentropy")
        found.append(
            finding(
                "loss_head_mismatch",
                "warning",
                "argument `loss`" if is_multi else output.where,
                f"Layer '{head.layer}' ends in a sigmoid, whose {head.units} "
                f"outputs do not sum to 1, but `{loss.name}` expects one "
                "distribution over the classes.",
                advice.with_loss(facts, output, new)
                if is_multi
                else advice.layer(head, None, "softmax"),
                picture="outputs",
            )
        )
    return found


@rule("model")
def activation_on_activation(facts: Facts) -> list[Finding]:
    """A softmax of a bounded activation cannot become confident.

    A softmax of probabilities gives the most likely of C classes at most
    e / (e + C - 1), which is 0.23 for ten classes. On TensorFlow this holds as well:
    the logits behind the last softmax are the probabilities of the first. A ReLU has no
    upper bound: it is a hint, unless all of its logits are zero for some examples,
    which then have no gradient, or the model is known to be poor.
    """
    found = []
    for output in outputs_of(facts):
        head, node = output.head, output.head.node
        is_rectified = head.before == "relu"
        if head.activation not in ("softmax", "sigmoid"):
            continue
        if not is_rectified and head.before not in (*PROBABILITIES, *LIMITED):
            continue
        if output.is_scalar and head.activation == "softmax":
            continue
        is_inside = node is not None and node.activation == head.before
        fix = (
            advice.layer_code(node, activation=None)
            if node is not None and is_inside
            else f"keras.layers.Activation('linear')  # instead of the {head.before}"
        )
        found.append(
            finding(
                "wrong_output_activation",
                "hint" if is_rectified and not _lacks_logits(facts) else "warning",
                output.where,
                f"The output is a {head.activation} of a {head.before}, which limits "
                "how confident it can be.",
                fix,
                picture="outputs",
            )
        )
    return found


def _lacks_logits(facts: Facts) -> bool:
    """Returns whether a trained model is poor, or gives equal outputs to an example."""
    if facts.end is None or len(facts.end.outputs) != 1:
        return False
    (values,) = facts.end.outputs
    if values.ndim < 2 or values.shape[-1] < 2:
        return outcome_of(facts).is_poor
    spread = values.max(axis=-1) - values.min(axis=-1)
    is_equal = float((spread < 1e-6).mean()) >= UNREACHABLE
    return is_equal or outcome_of(facts).is_poor


RULES = (
    softmax_on_one_unit,
    logits_against_probabilities,
    probabilities_against_logits,
    softmax_for_independent_labels,
    sigmoid_for_one_of_many,
    activation_on_activation,
)
