"""Rules on errors in the data: not finite, constant, repeated or sorted."""

import math

import keras
import numpy as np

from ..data.sample_data import Sample
from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import outcome_of
from ..run.pass_facts import PassFacts
from .harm import is_over
from .outputs import outputs_of
from .rule import rule

MIN_EXAMPLES = 32
# Share of repeated examples. Oversampling and small discrete tables stay below it or
# are whole numbers.
DUPLICATES = 0.9
MANY_NUMBERS = 30  # even bits are then equal by chance once in 2**30 pairs
# A fourth of the examples contradicts others: no model can have them all right.
CONTRADICTIONS = 0.25
SORTED = 0.5  # of the variance of labels between batches, beyond chance
# Probability that shuffled examples lack a class by chance.
BY_CHANCE = 1e-6


@rule("model")
def not_finite(facts: Facts) -> list[Finding]:
    """A single NaN or infinity in the data makes all weights NaN in one step.

    A layer of the user can replace NaN in the inputs, and a loss of the user can leave
    out NaN in the targets. So inputs count only if NaN reaches the output or the loss,
    and targets only with losses of Keras.
    """
    data = facts.data
    if data is None:
        return []
    inputs = data.inputs if _reaches_output(facts) else ()
    parts = [(one.name, one.non_finite) for one in inputs]
    parts += [
        (target.name, target.non_finite)
        for target, loss in zip(data.targets, facts.model.losses, strict=False)
        if loss.is_known and not facts.model.has_own_step
    ]
    return [
        finding(
            "data_bug",
            "error",
            f"data `{name}`",
            f"{number} values among {data.examples} examples are NaN or infinite.",
            f"{name} = np.nan_to_num({name})",
            f"Find the rows: np.argwhere(~np.isfinite({name})), and repair or remove "
            "them.",
            picture="inputs",
        )
        for name, number in parts
        if number
    ]


def _reaches_output(facts: Facts) -> bool:
    """Returns whether NaN in the inputs reaches the outputs or the loss.

    A pass shows this if its examples contain NaN. Otherwise, layers of Keras pass it
    on, and other layers are unknown.
    """
    start, graph = facts.start, facts.model.graph
    if (
        start is None
        or not (start.outputs or start.loss is not None)
        or _is_clean(start)
    ):
        return graph is not None and all(one.role != "unknown" for one in graph.nodes)
    if start.loss is not None and not math.isfinite(start.loss):
        return True
    return any(not np.isfinite(one).all() for one in start.outputs)


def _is_clean(start: PassFacts) -> bool:
    """Returns whether all inputs of a pass are known to be finite."""
    if not isinstance(start.sample, Sample):
        return False
    arrays = keras.tree.flatten(start.sample.x)
    return all(np.isfinite(one).all() for one in arrays if one.dtype.kind in "biuf")


@rule("model")
def constant_inputs(facts: Facts) -> list[Finding]:
    """Identical examples with different labels cannot be told apart."""
    data = facts.data
    if data is None or data.examples < MIN_EXAMPLES:
        return []
    is_all = len(data.inputs) == 1
    return [
        finding(
            "data_bug",
            "error" if is_all else "hint",
            f"data `{one.name}`",
            f"All {data.examples} examples of the sample are identical.",
            f"print({one.name}.std(axis=0).max())",
            "Check the code that loads and scales the inputs.",
            picture="inputs",
        )
        for one in data.inputs
        if one.is_number and one.is_constant
    ]


@rule("model")
def repeated_inputs(facts: Facts) -> list[Finding]:
    """Few examples that are repeated are less data than it seems.

    Examples with different labels contradict themselves. Otherwise, repeated examples
    are a hint, such as those of a dataset with `repeat()`, unless the model is known
    not to predict the validation data. Rows of a few whole numbers are equal by chance.
    """
    data = facts.data
    if data is None or data.examples < MIN_EXAMPLES or len(data.inputs) != 1:
        return []
    one = data.inputs[0]
    is_discrete = one.is_integer and math.prod(one.shape) < MANY_NUMBERS
    if one.is_constant or is_discrete or one.duplicates < DUPLICATES:
        return []
    is_bug = data.contradictions >= CONTRADICTIONS
    evidence = [
        Evidence(
            f"{one.duplicates:.0%} of the examples equal an earlier one.",
            one.duplicates,
            DUPLICATES,
        )
    ]
    if is_bug:
        evidence.append(
            Evidence(
                f"{data.contradictions:.0%} of the examples have different labels than "
                "an equal one.",
                data.contradictions,
                CONTRADICTIONS,
            )
        )
    name = one.name
    return [
        finding(
            "data_bug",
            "warning" if is_bug or _validates_badly(facts) else "hint",
            f"data `{name}`",
            evidence,
            f"_, first = np.unique({name}, axis=0, return_index=True); "
            f"{name}, y = {name}[first], y[first]",
            picture="inputs",
        )
    ]


@rule("model")
def sorted_batches(facts: Facts) -> list[Finding]:
    """Batches of one class each undo what the others have taught.

    Judged is only a dataset, because `fit` shuffles arrays itself: over at least four
    batches, more than half of the variance of the labels lies between batches. The
    loss of such batches looks small although the model is not, so validation tells
    whether there is harm: batches can be sorted on purpose.
    """
    data = facts.data
    if data is None or data.sorted_share is None or data.sorted_share < SORTED:
        return []
    if facts.model.has_own_step:
        return []
    return [
        finding(
            "data_bug",
            "hint" if _validates_well(facts) else "warning",
            f"data `{data.targets[0].name}`",
            Evidence(
                f"The batches are sorted by label: {data.sorted_share:.0%} of the "
                "variance of the labels lies between batches, beyond chance.",
                data.sorted_share,
                SORTED,
            ),
            "dataset = dataset.unbatch().shuffle(10_000).batch(32)",
            "Shuffle all examples before batching, with a buffer that spans classes.",
            picture="outputs",
        )
    ]


def _validates_badly(facts: Facts) -> bool:
    """Returns whether the last validation loss is known to be no better than guessing.

    That is the loss of a constant predictor.
    """
    if facts.training is None or not is_over(facts):
        return False
    losses, trivial = facts.training.curve("val_loss"), outcome_of(facts).trivial
    penalty = facts.end.penalty if facts.end is not None else 0.0
    return bool(len(losses)) and trivial is not None and losses[-1] - penalty >= trivial


def _validates_well(facts: Facts) -> bool:
    """Returns whether the last validation loss is known to be a good one.

    It is that if it beats a linear model or, if that is unknown, a constant.
    """
    if facts.training is None or not is_over(facts):
        return False
    losses, outcome = facts.training.curve("val_loss"), outcome_of(facts)
    limit = outcome.trivial if outcome.linear is None else outcome.linear
    return bool(len(losses) and limit is not None and losses[-1] < limit)


@rule("end")
def classes_only_in_validation(facts: Facts) -> list[Finding]:
    """Sorted arrays with `validation_split` hide classes from training.

    `validation_split` takes the last examples before `fit` shuffles the rest. The signs
    are a class without examples, which equal classes lack by chance with probability
    `C * (1 - 1 / C) ** n`, and a validation loss that is never better than guessing,
    while the training loss is.
    """
    data, training = facts.data, facts.training
    outputs = outputs_of(facts)
    if data is None or training is None or len(outputs) != 1 or not is_over(facts):
        return []
    (output,), losses = outputs, training.curve("val_loss")
    target, units = output.target, output.head.units
    is_categorical = output.loss.is_sparse or output.loss.is_categorical
    if (
        target is None
        or not is_categorical
        or not units
        or units < 3
        or not len(losses)
    ):
        return []
    classes = target.classes()
    if classes is None:
        return []
    seen = len(np.unique(classes))
    by_chance = units * (1 - 1 / units) ** len(classes)
    explained = outcome_of(facts).explained
    is_learned = explained is not None and explained >= 0.5
    is_guess = float(np.nanmin(losses)) > math.log(units)
    if seen >= units or by_chance > BY_CHANCE or not (is_learned and is_guess):
        return []
    return [
        finding(
            "data_bug",
            "error",
            f"data `{target.name}`",
            [
                Evidence(
                    f"Only {seen} of {units} classes occur in {len(classes)} examples "
                    "of the training data.",
                    seen,
                    units,
                ),
                Evidence(
                    f"The validation loss is at least {np.nanmin(losses):.3g}; "
                    f"guessing gives log {units}.",
                    float(np.nanmin(losses)),
                    math.log(units),
                ),
            ],
            "order = np.random.permutation(len(x)); x, y = x[order], y[order]",
            "`validation_split` takes the last examples: shuffle arrays before `fit`.",
            picture="outputs",
        )
    ]


RULES = (
    not_finite,
    constant_inputs,
    repeated_inputs,
    sorted_batches,
    classes_only_in_validation,
)
