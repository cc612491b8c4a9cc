"""Orders findings, and removes those that other findings explain."""

from dataclasses import replace

from .facts import Facts
from .finding import SEVERITIES, VALIDATION, Finding
from .rules import rules_at

# Causes from the root to the symptom. Among findings of the same severity, earlier ones
# come first.
ORDER = (
    "data_bug",
    "misused_layer",
    "frozen_weights",
    "wrong_output_activation",
    "wrong_num_outputs",
    "loss_head_mismatch",
    "labels_out_of_range",
    "bad_initialization",
    "inputs_not_scaled",
    "linear_hidden_stack",
    "unfit_optimizer",
    "learning_rate_too_high",
    "over_regularized",
    "unfit_batch_size",
    "labels_independent_of_inputs",
    "symmetric_units",
    "exploding_gradients",
    "dead_units",
    "saturated_units",
    "vanishing_gradients",
    "learning_rate_too_low",
    "train_and_inference_differ",
    "not_finite",
    "underfitting",
    "too_few_steps",
    "overfitting",
    "unfit_metric",
    "not_learning",
)
OUTCOMES = ("not_learning", "underfitting", "too_few_steps")
SIGNALS = (
    "exploding_gradients",
    "vanishing_gradients",
    "dead_units",
    "saturated_units",
    "not_finite",
)
RATES = ("learning_rate_too_high", "learning_rate_too_low")
ROOTS = (*OUTCOMES, *SIGNALS, *RATES)
# What a finding explains, unless it is only a hint. A cause explains later ones only.
EXPLAINS: dict[str, tuple[str, ...]] = {
    "data_bug": (*ROOTS, "overfitting", "labels_independent_of_inputs"),
    "frozen_weights": (*OUTCOMES, *RATES),
    "wrong_output_activation": (*ROOTS, "underfitting"),
    "wrong_num_outputs": (*ROOTS, "labels_out_of_range", "loss_head_mismatch"),
    "loss_head_mismatch": (*ROOTS, "labels_out_of_range", "unfit_metric"),
    "misused_layer": (
        *(*ROOTS, "frozen_weights", "train_and_inference_differ", "wrong_num_outputs"),
    ),
    "labels_out_of_range": ROOTS,
    "bad_initialization": (*ROOTS, "symmetric_units"),
    "inputs_not_scaled": ROOTS,
    "linear_hidden_stack": ("underfitting", "not_learning"),
    "unfit_optimizer": (*OUTCOMES, *RATES, "not_finite"),
    "learning_rate_too_high": (*OUTCOMES, *SIGNALS),
    "learning_rate_too_low": OUTCOMES,
    "over_regularized": (*OUTCOMES, "vanishing_gradients", "dead_units"),
    "unfit_batch_size": (*OUTCOMES, "train_and_inference_differ"),
    "labels_independent_of_inputs": (*OUTCOMES, "overfitting"),
    "symmetric_units": OUTCOMES,
    "exploding_gradients": (*OUTCOMES, "not_finite"),
    "vanishing_gradients": (*OUTCOMES, "learning_rate_too_low"),
    "dead_units": (*OUTCOMES, "vanishing_gradients"),
    "saturated_units": (*OUTCOMES, "vanishing_gradients"),
    "train_and_inference_differ": ("overfitting",),
    "not_finite": OUTCOMES,
    "underfitting": ("not_learning",),
    "too_few_steps": ("not_learning",),
}


def judge(facts: Facts, moment: str = "end", more: tuple = ()) -> tuple[Finding, ...]:
    """Applies rules to facts, and returns the ranked findings.

    Args:
        facts: What is known.
        moment: One of `rules.rule.MOMENTS`. Defaults to `"end"`.
        more: Findings that no rule makes, to rank with the others. Defaults to `()`.
    """
    found = [one for rule in rules_at(moment) for one in rule(facts)]
    return rank([*found, *more])


def rank(findings: list[Finding]) -> tuple[Finding, ...]:
    """Removes repeated and explained findings, and orders the rest.

    A finding that explains others gets their evidence, and the severity of the worst of
    them. Order: first by severity, then from root causes to symptoms.
    """
    distinct: dict[tuple, Finding] = {}
    for one in sorted(findings, key=_position):
        distinct.setdefault((one.cause, one.where), one)
    # From roots to symptoms, so that the root of each explanation is known before.
    deep = sorted(distinct.values(), key=lambda one: ORDER.index(one.cause))
    roots: list[int] = []
    for i, one in enumerate(deep):
        explaining = (roots[j] for j in range(i) if _explains(deep[j], one))
        roots.append(next(explaining, i))
    kept = [
        _with_symptoms(one, [deep[j] for j in range(len(deep)) if roots[j] == i != j])
        for i, one in enumerate(deep)
        if roots[i] == i
    ]
    return tuple(sorted(kept, key=_position))


def _explains(root: Finding, symptom: Finding) -> bool:
    """Returns whether a finding explains another one.

    A hint explains nothing, and validation data does not change training. If both name
    a layer, it must be the same one.
    """
    if root.severity == "hint" or root.where == VALIDATION:
        return False
    if symptom.cause not in EXPLAINS.get(root.cause, ()):
        return False
    layers = {_layer(root), _layer(symptom)} - {None}
    return len(layers) < 2


def _layer(one: Finding) -> str | None:
    if not one.where.startswith("layer '"):
        return None
    return one.where.removeprefix("layer '").rstrip("'").rpartition("/")[2]


def _with_symptoms(root: Finding, symptoms: list[Finding]) -> Finding:
    """Adds the evidence and the severity of the findings that a finding explains."""
    symptoms = [one for one in symptoms if one.severity != "hint"]
    severity = min((one.severity for one in (root, *symptoms)), key=SEVERITIES.index)
    evidence = [*root.evidence, *(text for one in symptoms for text in one.evidence)]
    distinct = {str(one): one for one in evidence}
    return replace(root, severity=severity, evidence=tuple(distinct.values()))


def _position(one: Finding) -> tuple[int, int]:
    return SEVERITIES.index(one.severity), ORDER.index(one.cause)
