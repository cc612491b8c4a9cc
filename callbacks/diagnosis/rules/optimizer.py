"""Rules on the settings of the optimizer.

A setting far off the usual range is a risk: after a run that ended well, it is a hint.
"""

import math
import statistics

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import outcome_of
from ..reading.optimizer_facts import OptimizerFacts
from . import advice
from .learning_rate import customary_rate, used_rate
from .rule import rule

# Adadelta has no rate (Zeiler, 2012), which is a rate of 1. Adagrad and Ftrl divide by
# the root of the sum of all squared gradients, so that t steps at the rate r move a
# weight by 2 r sqrt(t) at most: by 0.06 in 1,000 steps at 1e-3.
SLOW_RATES = {"Adadelta": 0.05, "Adagrad": 1e-3, "Ftrl": 1e-3}
SLOW_RATIO = 3e-4  # a third of the typical ratio
MOMENTUM = 0.99  # averages 100 steps; the effective rate is 1 / (1 - momentum) as high
CLIPPED = 1e-5  # largest update relative to the weights: 1 % in 1,000 steps
MEMORY = 0.995  # a beta_1 that averages 200 gradients, most of them outdated
FORGETS = 0.5  # a mean square over two gradients is nearly that of the last one
# An epsilon of 1 is recommended for some models, such as Inception, so it must be
# larger, and the updates must be negligible.
EPSILON, TINY_RATIO = 1.0, 1e-5
ADAMS = ("Adam", "AdamW", "Nadam")
CLIPS = ("clipnorm", "global_clipnorm", "clipvalue")


def _unfit(evidence: Evidence, fix: str) -> Finding:
    return finding("unfit_optimizer", "warning", "argument `optimizer`", evidence, fix)


def with_setting(optimizer: OptimizerFacts, setting: str) -> str:
    """Returns a line of code that changes one setting and keeps all others.

    Args:
        optimizer: Optimizer of a class of Keras.
        setting: Changed setting as the item of a dict, such as `"'momentum': 0.9"`.
    """
    return (
        f"model.compile(optimizer=keras.optimizers.{optimizer.name}.from_config("
        f"model.optimizer.get_config() | {{{setting}}}), loss=model.loss)"
    )


@rule("first_pass", "plain_step", is_risk=True)
def slow_rate(facts: Facts) -> list[Finding]:
    """Adadelta, Adagrad and Ftrl hardly move at the rates of other optimizers.

    Adagrad and Ftrl adapt to the size of the gradient, so they are judged after a run
    only, by its updates and by a simple model that does better.
    """
    optimizer, training, rate = facts.model.optimizer, facts.training, used_rate(facts)
    limit = SLOW_RATES.get(optimizer.name or "")
    if limit is None or not rate or rate > limit:
        return []
    if optimizer.name == "Adadelta":
        text = (
            f"Adadelta at the learning rate {rate:g}: the method has no rate, which "
            "corresponds to 1, and its first updates are below 0.001 times that."
        )
    else:
        if training is None or not training.is_over or not outcome_of(facts).is_behind:
            return []
        if not training.peak_ratio < SLOW_RATIO:
            return []
        text = (
            f"{optimizer.name} at the learning rate {rate:g} moves a weight by "
            f"{2 * rate * math.sqrt(1000):.2g} in 1,000 steps at most."
        )
    fix = advice.set_rate(facts, customary_rate(facts))
    return [_unfit(Evidence(text, rate, limit), fix)]


@rule("first_pass", "plain_step", is_risk=True)
def momentum(facts: Facts) -> list[Finding]:
    """Momentum near 1 multiplies the rate, and averages outdated gradients."""
    optimizer = facts.model.optimizer
    value = optimizer.settings.get("momentum", 0.0)
    if optimizer.name is None or value <= MOMENTUM:
        return []
    text = (
        f"The momentum {value:g} multiplies the rate by "
        f"{1 / max(1e-9, 1 - value):,.0f}."
    )
    fix = with_setting(optimizer, "'momentum': 0.9")
    return [_unfit(Evidence(text, value, MOMENTUM), fix)]


@rule("first_pass", "plain_step", is_risk=True)
def averages(facts: Facts) -> list[Finding]:
    """The averages of Adam and RMSprop should span some gradients, but not too many.

    If beta_1 is at least sqrt(beta_2), the average of the gradients outlives the one
    that it is divided by, so that updates grow after each large gradient. The theory of
    Adam assumes a smaller beta_1 (Reddi et al., 2018).
    """
    optimizer = facts.model.optimizer
    values = optimizer.settings
    beta_1, beta_2 = values.get("beta_1", 0.0), values.get("beta_2", 1.0)
    rho = values.get("rho", 1.0)
    if optimizer.name in ADAMS and beta_1 >= math.sqrt(beta_2):
        text = (
            f"beta_1 = {beta_1:g} is not below sqrt(beta_2) = {math.sqrt(beta_2):.3g}, "
            "so updates grow after each large gradient."
        )
        fix = with_setting(optimizer, "'beta_1': 0.9, 'beta_2': 0.999")
        return [_unfit(Evidence(text, beta_1, math.sqrt(beta_2)), fix)]
    if optimizer.name in ADAMS and beta_1 > MEMORY:
        text = (
            f"beta_1 = {beta_1:g} averages the gradients of about "
            f"{1 / max(1e-9, 1 - beta_1):,.0f} steps, most of them outdated."
        )
        fix = with_setting(optimizer, "'beta_1': 0.9")
        return [_unfit(Evidence(text, beta_1, MEMORY), fix)]
    if optimizer.name == "RMSprop" and rho < FORGETS:
        text = (
            f"rho = {rho:g} divides each gradient by its own size, so that only the "
            "sign is left."
        )
        fix = with_setting(optimizer, "'rho': 0.9")
        return [_unfit(Evidence(text, rho, FORGETS), fix)]
    return []


@rule("first_pass", "plain_step", is_risk=True)
def epsilon(facts: Facts) -> list[Finding]:
    """An epsilon far above the gradients leaves SGD with a tiny rate."""
    optimizer, rate = facts.model.optimizer, used_rate(facts)
    value = optimizer.settings.get("epsilon", 0.0)
    if optimizer.name is None or value <= EPSILON or not rate:
        return []
    ratio = _ratio_with_epsilon(facts, rate / value)
    if ratio is None or not ratio < TINY_RATIO:
        return []
    text = (
        f"epsilon = {value:g} is larger than the gradients, so {optimizer.name} does "
        f"not scale them: updates are {ratio:.1e} times as large as the weights."
    )
    fix = with_setting(optimizer, "'epsilon': 1e-7")
    return [_unfit(Evidence(text, ratio, TINY_RATIO), fix)]


def _ratio_with_epsilon(facts: Facts, rate: float) -> float | None:
    """Returns the recorded update ratio, or that of SGD at a rate for the sample."""
    if facts.training is not None and len(facts.training.step):
        return facts.training.peak_ratio
    if facts.start is None:
        return None
    ratios = [
        rate * facts.start.gradient_norms[path] / norm
        for path, norm in facts.start.weight_norms.items()
        if path.endswith("kernel") and norm > 0
    ]
    return statistics.median(ratios) if ratios else None


@rule("first_pass", "plain_step", "graph", is_risk=True)
def clipping(facts: Facts) -> list[Finding]:
    """Clipping bounds the update of SGD to the rate times the limit.

    Adam divides by the magnitude of the clipped gradients, which undoes the scale. A
    run in which a simple model does better, and most gradients were clipped, shows the
    harm of looser limits.
    """
    optimizer, rate = facts.model.optimizer, used_rate(facts)
    if optimizer.name != "SGD" or not rate or facts.model.graph is None:
        return []
    kernels = [one.kernel for one in facts.model.graph.nodes if one.has_kernel]
    kernels = [one for one in kernels if one.trainable and one.rms > 0]
    if not kernels:
        return []
    rms = statistics.median(one.rms for one in kernels)
    norm = statistics.median(
        one.rms * math.sqrt(one.fan_in * one.fan_out) for one in kernels
    )
    rate /= max(1e-9, 1 - optimizer.settings.get("momentum", 0.0))
    for name in CLIPS:
        limit = optimizer.settings.get(name)
        if limit is None:
            continue
        bound = rate * limit / (rms if name == "clipvalue" else norm)
        is_slow = bound < SLOW_RATIO and _clips_most_steps(facts, name, limit)
        if bound < CLIPPED or (is_slow and outcome_of(facts).is_behind):
            text = f"{name}={limit:g} limits each update to {bound:.1e} of the weights."
            fix = with_setting(optimizer, f"{name!r}: 1.0")
            return [_unfit(Evidence(text, bound, CLIPPED), fix)]
    return []


def _clips_most_steps(facts: Facts, name: str, limit: float) -> bool:
    """Returns whether most of the recorded gradients were clipped."""
    training = facts.training
    if training is None or not len(training.step) or not training.kernels:
        return False
    if name == "global_clipnorm":
        clipped = np.sqrt(np.nansum(training.gradient_norm**2, axis=1)) > limit
        return bool(clipped.mean() > 0.5)
    norms = training.gradient_norm[:, training.kernels]
    if name == "clipvalue":
        sizes = [math.prod(training.shapes[i]) for i in training.kernels]
        norms = norms / np.sqrt(sizes)
    return bool((norms > limit).mean() > 0.5)


RULES = (slow_rate, momentum, averages, epsilon, clipping)
