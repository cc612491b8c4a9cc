"""Rules on gradients that vanish or explode with depth, or that do not exist.

The sensitivity of the loss to a kernel is the product of the norms of the gradient and
of the kernel. It does not depend on the scale of the kernel, and for a network of ReLU
layers its inner product is the same in every layer, so layers can be compared.
"""

import math

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import outcome_of
from .rule import rule

VANISHING = 1e-3  # sensitivity of the first kernel relative to the last
MIN_KERNELS = 4
# Relative change of the loss for a relative change of the weights: at 1,000, a change
# of the weights by 0.1 % can double the loss. At the start, 10 is common.
EXPLODING = 1e3


@rule("end")
def vanishing(facts: Facts) -> list[Finding]:
    """Gradients vanish if the first kernels matter 1,000 times less than the last.

    They must do so in the first record and in the median of all records, with at least
    four kernels, and the model must have learned less than half.
    """
    training = facts.training
    if training is None or not len(training.step):
        return []
    outcome = outcome_of(facts)
    kernels = _chain(training)
    if len(kernels) < MIN_KERNELS or not (outcome.is_poor or outcome.could_be_better):
        return []
    sensitivity = _sensitivity(training)[:, kernels]
    first, last = sensitivity[:, 0], sensitivity[:, -1]
    with np.errstate(invalid="ignore", divide="ignore"):
        ratio = first / last
    ratio = ratio[np.isfinite(ratio)]
    if not len(ratio) or max(ratio[0], np.median(ratio)) >= VANISHING:
        return []
    name = training.variables[kernels[0]]
    layer = name.removesuffix("/kernel")
    node = _node(facts, layer)
    activation = node.activation if node is not None else None
    size = node.options.get("units") if node is not None else None
    fix = (
        f"keras.layers.Dense({size}, activation='relu', "
        f"kernel_initializer='he_normal', name={layer!r})"
        if size
        else "keras.layers.BatchNormalization()"
    )
    return [
        finding(
            "vanishing_gradients",
            "error" if outcome.is_trivial else "warning",
            f"layer '{layer}'",
            [
                Evidence(
                    f"The loss depends on '{name}' {np.median(ratio):.1e} times as "
                    f"much as on '{training.variables[kernels[-1]]}' (norm of the "
                    "gradient times norm of the weights).",
                    float(np.median(ratio)),
                    VANISHING,
                ),
                *(
                    [Evidence(f"The hidden activation is '{activation}'.")]
                    if activation not in (None, "linear")
                    else []
                ),
            ],
            fix,
            "Use ReLU in all hidden layers, or add normalization or residual "
            "connections.",
            picture="gradients",
        )
    ]


@rule("end")
def exploding(facts: Facts) -> list[Finding]:
    """Gradients explode if a tiny relative change of the weights doubles the loss.

    The sensitivity is divided by the loss, so units of targets do not matter. With
    clipping this is only a hint.
    """
    training = facts.training
    if training is None or not len(training.step):
        return []
    outcome = outcome_of(facts)
    losses = training.curve("loss")
    finite = losses[np.isfinite(losses)]
    scale = [one for one in (outcome.first, *finite) if one is not None]
    scale = [abs(one) for one in scale if math.isfinite(one)]
    if not scale or outcome.is_good:
        return []
    sensitivity = _sensitivity(training)[:, training.kernels]
    sensitivity = np.where(np.isfinite(sensitivity), sensitivity, 0.0)
    if not sensitivity.size:
        return []
    worst = np.unravel_index(sensitivity.argmax(), sensitivity.shape)
    value = float(sensitivity[worst]) / max(scale)
    if value < EXPLODING:
        return []
    name = training.variables[training.kernels[worst[1]]]
    settings = facts.model.optimizer.settings
    is_clipped = any("clip" in one for one in settings)
    kind = facts.model.optimizer.name or "Adam"
    rate = facts.model.optimizer.learning_rate or 1e-3
    return [
        finding(
            "exploding_gradients",
            "hint" if is_clipped else "warning",
            f"gradient of '{name}'",
            Evidence(
                f"Changing '{name}' by 0.1 % can change the loss by "
                f"{value / 10:,.0f} %.",
                value,
                EXPLODING,
                step=int(training.step[worst[0]]),
            ),
            f"model.compile(optimizer=keras.optimizers.{kind}({rate:g}, "
            "global_clipnorm=1.0), loss=model.loss)",
            "Lower the learning rate, or use smaller initial weights.",
            picture="gradients",
        )
    ]


@rule("end")
def no_gradient(facts: Facts) -> list[Finding]:
    """A trainable kernel without a gradient is not connected to the loss.

    Its gradient must be missing or exactly zero in all records, of which there must be
    at least two. Zero gradients of dead units are found by their outputs.
    """
    training = facts.training
    if training is None or len(training.step) < 2 or facts.model.has_own_step:
        return []
    norms = training.gradient_norm[~training.skipped]
    if not len(norms):
        return []
    missing = [i for i in training.kernels if np.isnan(norms[:, i]).all()]
    if not missing or len(missing) == len(training.kernels):
        return []
    names = [training.variables[i] for i in missing]
    return [
        finding(
            "frozen_weights",
            "warning",
            f"variable '{names[0]}'",
            f"{len(names)} trainable kernel{'s'[: len(names) > 1]} "
            f"({', '.join(names[:3])}) got no gradient in {len(norms)} records: the "
            "loss does not depend on them.",
            f"# use the output of layer '{names[0].removesuffix('/kernel')}' in `call`",
            "Check that the layer is used, and that no operation such as argmax or "
            "rounding cuts the gradient.",
            picture="gradients",
        )
    ]


def _sensitivity(training) -> np.ndarray:
    values = training.gradient_norm * training.weight_norm
    values = values.astype("float64")
    values[training.skipped] = np.nan
    return values


def _chain(training) -> list[int]:
    """Returns the kernels of feedforward layers, in the order of the model."""
    return [
        i
        for i in training.kernels
        if training.variables[i].endswith("kernel")
        and "recurrent" not in training.variables[i]
        and "lstm" not in training.variables[i]
        and "gru" not in training.variables[i]
    ]


def _node(facts: Facts, layer: str):
    graph = facts.model.graph
    name = layer.rpartition("/")[2]
    nodes = graph.nodes if graph is not None else ()
    return next((one for one in nodes if one.name == name), None)


RULES = (vanishing, exploding, no_gradient)
