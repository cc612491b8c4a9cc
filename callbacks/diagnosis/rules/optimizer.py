"""Rules on the settings of the optimizer, before any step."""

import math
import statistics

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import outcome_of
from . import advice
from .rule import rule

# Adam's first updates have about the size of the rate, so the ratio to the weights is
# known before training. At 1, one step replaces the weights.
OVERWRITES = 1.0
# At 1e-6, a million steps are needed to move the weights by their own size.
STANDS_STILL = 1e-6
ADADELTA_RATE = 0.05  # Zeiler (2012) has no rate, which is a rate of 1
MOMENTUM = 0.99  # averages 100 steps; the effective rate is 1 / (1 - momentum) as high
DECAY = 1e-3  # weight decay times rate: the weights lose 63 % every 1,000 steps
PENALTY = 10.0  # times the loss of a trivial predictor
CLIPPED = 1e-5  # largest update, relative to the weights
MEMORY = 0.995  # a beta_1 that averages 200 gradients, most of them outdated
EPSILON = 1.0  # far above gradients: Adam becomes SGD with a tiny rate
FIRST_UPDATE = {"Adam", "AdamW", "Adamax", "Nadam", "RMSprop", "Lion"}


@rule("model", is_risk=True)
def first_update(facts: Facts) -> list[Finding]:
    """The first update relative to the weights shows a rate that is far off.

    For optimizers like Adam it follows from the rate and the initial weights. For SGD
    it is the rate times the gradient of the sample. Rates of a schedule, of a model
    that was trained before, or with frozen layers, are judged during training only.
    """
    optimizer = facts.model.optimizer
    rate = optimizer.learning_rate
    if rate is None or optimizer.is_scheduled or optimizer.name is None:
        return []
    if rate == 0:
        return [
            finding(
                "learning_rate_too_low",
                "error",
                "argument `optimizer`",
                "The learning rate is 0.",
                advice.with_rate(facts, 1e-3),
                picture="ratio",
            )
        ]
    if optimizer.iterations or facts.model.is_frozen_in_part:
        return []
    if facts.training is not None and outcome_of(facts).is_good:
        return []
    ratio = _first_ratio(facts, rate)
    if ratio is None:
        return []
    if ratio >= OVERWRITES:
        cause, limit = "learning_rate_too_high", OVERWRITES
    elif ratio <= STANDS_STILL:
        cause, limit = "learning_rate_too_low", STANDS_STILL
    else:
        return []
    return [
        finding(
            cause,
            "warning",
            "argument `optimizer`",
            Evidence(
                f"At the learning rate {rate:g}, the first update of {optimizer.name} "
                f"is {ratio:.2g} times as large as the weights (median kernel).",
                ratio,
                limit,
            ),
            advice.with_rate(facts, rate * 2e-2 / ratio if ratio > 1 else 1e-3),
            "Or search for a rate: callbacks.find_learning_rate(model, dataset).",
            picture="ratio",
        )
    ]


@rule("model", is_risk=True)
def settings(facts: Facts) -> list[Finding]:
    """Settings far outside of the range in which an optimizer is known to work."""
    optimizer = facts.model.optimizer
    rate, values = optimizer.learning_rate, optimizer.settings
    found = []

    def add(evidence, fix, severity="warning"):
        found.append(
            finding("unfit_optimizer", severity, "argument `optimizer`", evidence, fix)
        )

    is_low = rate is not None and rate < ADADELTA_RATE and not optimizer.is_scheduled
    if optimizer.name == "Adadelta" and rate is not None and is_low:
        add(
            f"Adadelta at the learning rate {rate:g}: the method has no rate, which "
            "corresponds to 1, and its first updates are below 0.001 times that.",
            advice.with_rate(facts, 1.0),
        )
    momentum = values.get("momentum", 0.0)
    if momentum > MOMENTUM:
        add(
            Evidence(
                f"The momentum {momentum:g} multiplies the rate by "
                f"{1 / max(1e-9, 1 - momentum):,.0f}.",
                momentum,
                MOMENTUM,
            ),
            f"model.compile(optimizer=keras.optimizers.{optimizer.name}("
            f"learning_rate={rate or 0.01:g}, momentum=0.9), loss=model.loss)",
        )
    beta_1, beta_2 = values.get("beta_1", 0.0), values.get("beta_2", 1.0)
    is_adam = optimizer.name in ("Adam", "AdamW", "Nadam")
    if is_adam and (beta_1 >= math.sqrt(beta_2) or beta_1 > MEMORY):
        add(
            f"beta_1 = {beta_1:g} and beta_2 = {beta_2:g}: Adam converges only for "
            "beta_1 < sqrt(beta_2).",
            advice.with_rate(facts, rate or 1e-3),
        )
    if values.get("epsilon", 0.0) >= EPSILON:
        add(
            f"epsilon = {values['epsilon']:g} is larger than the gradients, so "
            f"{optimizer.name} does not scale them.",
            advice.with_rate(facts, rate or 1e-3),
        )
    return found


@rule("model", is_risk=True)
def clipping(facts: Facts) -> list[Finding]:
    """Clipping bounds the update of SGD to the rate times the limit.

    Adam divides by the magnitude of the clipped gradients, which undoes the scale.
    """
    optimizer, graph = facts.model.optimizer, facts.model.graph
    rate, values = optimizer.learning_rate, optimizer.settings
    if optimizer.name != "SGD" or not rate or optimizer.is_scheduled or graph is None:
        return []
    kernels = [node.kernel for node in graph.nodes if node.has_kernel]
    kernels = [one for one in kernels if one.trainable and one.rms > 0]
    if not kernels:
        return []
    rms = statistics.median(one.rms for one in kernels)
    norm = statistics.median(
        one.rms * math.sqrt(one.fan_in * one.fan_out) for one in kernels
    )
    factor = rate / max(1e-9, 1 - values.get("momentum", 0.0))
    for name, size in (
        ("clipnorm", norm),
        ("global_clipnorm", norm),
        ("clipvalue", rms),
    ):
        limit = values.get(name)
        if limit is not None and factor * limit / size < CLIPPED:
            return [
                finding(
                    "unfit_optimizer",
                    "warning",
                    "argument `optimizer`",
                    Evidence(
                        f"{name}={limit:g} limits each update to "
                        f"{factor * limit / size:.1e} times the weights.",
                        factor * limit / size,
                        CLIPPED,
                    ),
                    f"model.compile(optimizer=keras.optimizers.SGD("
                    f"learning_rate={rate:g}, {name}=1.0), loss=model.loss)",
                )
            ]
    return []


@rule("model", is_risk=True)
def decay(facts: Facts) -> list[Finding]:
    """Weight decay shrinks the weights by rate * decay in every step."""
    optimizer = facts.model.optimizer
    rate, decay = optimizer.learning_rate, optimizer.settings.get("weight_decay")
    if not rate or not decay or rate * decay <= DECAY:
        return []
    return [
        finding(
            "over_regularized",
            "warning",
            "argument `optimizer`",
            Evidence(
                f"weight_decay={decay:g} at the learning rate {rate:g} removes "
                f"{rate * decay:.2%} of the weights in every step.",
                rate * decay,
                DECAY,
            ),
            f"model.compile(optimizer=keras.optimizers.{optimizer.name}("
            f"learning_rate={rate:g}, weight_decay=0.01), loss=model.loss)",
            picture="loss",
        )
    ]


@rule("model", is_risk=True)
def penalty(facts: Facts) -> list[Finding]:
    """A penalty far above the loss can only be reduced by shrinking the weights.

    At the minimum, the penalty is at most the loss of a trivial predictor, which zero
    weights reach. A first penalty of 10 times that forces the weights down by a factor
    of 3 or more, in every layer.
    """
    start, data = facts.start, facts.data
    layers = [one for one in facts.model.layers if any(one.regularizers)]
    if start is None or data is None or not layers:
        return []
    trivial = outcome_of(facts).trivial
    if not trivial or start.penalty <= PENALTY * trivial:
        return []
    worst = max(layers, key=lambda one: max(one.regularizers))
    l1, l2 = worst.regularizers
    name, value = ("L1", l1) if l1 > l2 else ("L2", l2)
    return [
        finding(
            "over_regularized",
            "warning",
            f"layer '{worst.name}'",
            Evidence(
                f"The regularization terms start at {start.penalty:.3g}, while a "
                f"trivial predictor has the loss {trivial:.3g}.",
                start.penalty,
                PENALTY * trivial,
            ),
            f"kernel_regularizer=keras.regularizers.{name}({value / 1000:g})",
            f"In layer '{worst.name}' and the {len(layers)} layers with a regularizer.",
            picture="loss",
        )
    ]


def _first_ratio(facts: Facts, rate: float) -> float | None:
    """Returns the first update relative to the weights: the median of the kernels."""
    optimizer, graph, start = facts.model.optimizer, facts.model.graph, facts.start
    if optimizer.name in FIRST_UPDATE and graph is not None:
        factor = 1.0
        if optimizer.name == "RMSprop":
            factor = 1 / math.sqrt(max(1e-9, 1 - optimizer.settings.get("rho", 0.9)))
        kernels = [node.kernel for node in graph.nodes if node.has_kernel]
        sizes = [one.rms for one in kernels if one.rms > 0 and one.trainable]
        return factor * rate / statistics.median(sizes) if sizes else None
    if optimizer.name == "SGD" and start is not None and start.gradient_norms:
        if any(name in optimizer.settings for name in ("clipnorm", "clipvalue")):
            return None
        ratios = [
            rate * start.gradient_norms[path] / start.weight_norms[path]
            for path in start.gradient_norms
            if path.endswith("kernel") and start.weight_norms[path] > 0
        ]
        ratios = [one for one in ratios if math.isfinite(one) and one > 0]
        return statistics.median(ratios) if ratios else None
    return None


RULES = (first_update, settings, clipping, decay, penalty)
