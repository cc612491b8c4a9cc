"""Rules on the difference between training and validation, or inference."""

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import outcome_of
from ..run.training_facts import TrainingFacts
from . import advice
from .comparison import never_predicts
from .rule import rule

RISE = 1.5  # validation loss at the end over its minimum
# Two signs that agree may be weaker: the loss rises by a fifth, and the accuracy falls
# by three points. For a regression, the loss itself is what counts.
SMALL_RISE, DROP = 1.2, 0.03
HARMLESS = 0.01  # a fall of the validation accuracy by one point
MATTERS = 0.1  # of the trivial loss
GAP = 0.5  # training loss at the end over the lowest validation loss
KEPT = 0.8  # training loss at the end over that of the best epoch: it fell further
MEMORIZED, NOT_LEARNED = 0.95, 1 / 3  # training accuracy, and how far validation lags
MIN_EPOCHS = 3
MIN_EPOCHS_TO_COMPARE = 5
DIFFERS = 1.5  # loss in inference over loss in training mode, on the same examples
EXPLAINED = 0.05  # share of the trivial loss that training has removed
SURE = 3.0  # standard errors
SMALL_BATCH = 8  # whose statistics are too noisy for any momentum


@rule("end", "known_loss", "plain_step")
def overfitting(facts: Facts) -> list[Finding]:
    """The validation loss or accuracy gets worse, or never follows the training.

    If the run was stopped early, or the validation accuracy has not fallen, the finding
    is a hint: the best weights may have been kept, or nothing was lost. A model that
    has not learned the training data does not overfit.
    """
    training, outcome = facts.training, outcome_of(facts)
    if training is None or not training.is_over or outcome.trivial is None:
        return []
    if outcome.explained is not None and outcome.explained < EXPLAINED:
        return []
    drop = _drop(training)
    evidence = _rising(facts, training, outcome.trivial, drop)
    is_harmless = drop is not None and drop <= HARMLESS
    if not evidence:
        evidence = _memorized(training)
        is_harmless = _generalizes(facts, training)
    if not evidence:
        return []
    return [
        finding(
            "overfitting",
            "hint" if is_harmless or training.ended_early else "warning",
            "training",
            evidence,
            "early_stopping = keras.callbacks.EarlyStopping(patience=3, "
            "restore_best_weights=True)",
            "Pass it to `fit` in `callbacks`. Use more data, augmentation, dropout, "
            "weight decay or a smaller model.",
            picture="loss",
        )
    ]


def _rising(
    facts: Facts, training: TrainingFacts, trivial: float, drop: float | None
) -> list[Evidence]:
    """The validation loss rises for good, while the training loss falls.

    The rise must last for a fifth of the epochs and at least three, whose median is
    compared, so that a single epoch cannot cause an alarm.
    """
    penalty = facts.end.penalty if facts.end is not None else 0.0
    losses = training.curve("loss") - penalty
    validation = training.curve("val_loss") - penalty
    window = max(MIN_EPOCHS, len(validation) // 5)
    if len(validation) != len(losses) or len(validation) <= window:
        return []
    if not np.isfinite(validation).all() or validation.min() <= 0:
        return []
    best = int(validation.argmin())
    if len(validation) - 1 - best < window:
        return []
    last, lowest = float(np.median(validation[-window:])), float(validation.min())
    is_rise = last >= RISE * lowest
    is_distance = all(one.is_distance for one in facts.model.losses)
    is_worse = is_distance or (drop is not None and drop > DROP)
    is_rise = is_rise or (is_worse and last >= SMALL_RISE * lowest)
    if not is_rise or last - lowest <= MATTERS * trivial:
        return []
    # Weights of examples count in training only, so its loss is compared with itself.
    is_weighted = facts.data is not None and facts.data.is_weighted
    if losses[-1] >= (KEPT * losses[best] if is_weighted else GAP * lowest):
        return []
    found = [
        Evidence(
            f"The validation loss rose from {lowest:.3g} in epoch {best} to {last:.3g} "
            f"in the last {window} epochs, while the training loss fell to "
            f"{losses[-1]:.3g}.",
            last / lowest,
            SMALL_RISE if is_worse else RISE,
            epoch=len(validation) - 1,
        )
    ]
    if drop is not None and drop > DROP:
        text = f"The validation accuracy fell by {drop:.2f}."
        found.append(Evidence(text, drop, DROP))
    return found


def _memorized(training: TrainingFacts) -> list[Evidence]:
    """Nearly all of the training data is right, and a third less of the validation."""
    accuracy, validation = _accuracies(training)
    window = max(MIN_EPOCHS, len(accuracy) // 3)
    if len(accuracy) < MIN_EPOCHS_TO_COMPARE:
        return []
    known = float(np.median(accuracy[-window:]))
    unseen = float(np.median(validation[-window:]))
    if known < MEMORIZED or known - unseen < NOT_LEARNED:
        return []
    text = (
        f"In the last {window} epochs the training accuracy is {known:.2f}, and the "
        f"validation accuracy {unseen:.2f}."
    )
    return [Evidence(text, known - unseen, NOT_LEARNED)]


def _generalizes(facts: Facts, training: TrainingFacts) -> bool:
    """Returns whether a linear model is no better on examples that it has not seen."""
    validation, outcome = training.curve("val_loss"), outcome_of(facts)
    if outcome.linear is None or not outcome.is_complete or not len(validation):
        return False
    penalty = facts.end.penalty if facts.end is not None else 0.0
    return float(validation[-1]) - penalty <= outcome.linear


def _accuracies(training: TrainingFacts) -> tuple[np.ndarray, np.ndarray]:
    """Returns the accuracy of each epoch in training and validation; empty if unknown.

    Accuracies of several outputs are not compared.
    """
    names = [name for name in training.logs if name == "acc" or "accuracy" in name]
    names = [name for name in names if f"val_{name}" in training.logs]
    if len(names) != 1:
        return np.zeros(0), np.zeros(0)
    known, unseen = training.curve(names[0]), training.curve(f"val_{names[0]}")
    if len(known) != len(unseen):
        return np.zeros(0), np.zeros(0)
    return known, unseen


def _drop(training: TrainingFacts) -> float | None:
    """Returns how far the validation accuracy has fallen from its best three epochs."""
    _, accuracy = _accuracies(training)
    if len(accuracy) < 2 * MIN_EPOCHS:
        return None
    window = max(MIN_EPOCHS, len(accuracy) // 5)
    smooth = [np.median(accuracy[i : i + 3]) for i in range(len(accuracy) - 2)]
    return float(max(smooth) - np.median(accuracy[-window:]))


@rule("end", "known_loss", "plain_step", "data")
def validation_without_progress(facts: Facts) -> list[Finding]:
    """Labels that do not depend on the inputs can be memorized, but not predicted.

    While training has removed 5 % of the trivial loss, the validation loss was never
    below it and rises, and the accuracy stays that of chance. Plain overfitting first
    improves on one of them. A regression has no accuracy: there, simple models must be
    known to fail, too.
    """
    training, outcome, data = facts.training, outcome_of(facts), facts.data
    if training is None or not training.is_over or outcome.trivial is None:
        return []
    if outcome.explained is None or outcome.explained < EXPLAINED or data is None:
        return []
    validation = training.curve("val_loss")
    if len(validation) < MIN_EPOCHS_TO_COMPARE or not np.isfinite(validation).all():
        return []
    lowest = validation.min() - (facts.end.penalty if facts.end is not None else 0.0)
    constant = facts.validation_constant
    constant = outcome.trivial if constant is None else constant
    last = np.median(validation[-max(1, len(validation) // 3) :])
    if not never_predicts(facts, strict=SURE):
        return []
    if last <= validation[0] or not _is_chance(facts, training):
        return []
    if facts.model.has_normalization and _differs(facts):
        return []  # the statistics of inference explain it
    return [
        finding(
            "labels_independent_of_inputs",
            "warning",
            "data `y`",
            [
                Evidence(
                    f"The validation loss was never below {lowest:.3g}, while a "
                    f"constant predictor has {constant:.3g}.",
                    float(lowest),
                    constant,
                ),
                Evidence(
                    f"The training loss fell to {outcome.last:.3g}: the model "
                    "memorizes."
                ),
            ],
            "order = np.random.default_rng(0).permutation(len(x)); "
            "x, y = x[order], y[order]  # shuffle only in pairs",
            "Check that inputs and labels are in the same order, and that training and "
            "validation data come from the same source.",
            picture="loss",
        )
    ]


def _is_chance(facts: Facts, training: TrainingFacts) -> bool:
    """Returns whether the validation is no better than chance, and no simple model is.

    Accuracies far below chance show that validation has other labels than training.
    """
    outcome = outcome_of(facts)
    if outcome.linear is not None and outcome.trivial is not None:
        gain = outcome.trivial - outcome.linear
        if gain > SURE * (outcome.trivial_error or 0.0):
            return False
    targets = facts.data.targets if facts.data is not None else ()
    classes = targets[0].classes() if len(targets) == 1 else None
    _, accuracy = _accuracies(training)
    if classes is None or not len(accuracy):
        return outcome.linear is not None and outcome.is_complete
    shares = np.unique(classes, return_counts=True)[1] / len(classes)
    error = SURE * np.sqrt(shares.max() * (1 - shares.max()) / len(classes))
    lowest = 0.5 * float((shares**2).sum())
    return bool(lowest <= np.median(accuracy) <= shares.max() + error)


@rule("end", "known_loss", "plain_step")
def inference_differs(facts: Facts) -> list[Finding]:
    """The same examples must have about the same loss in training and inference mode.

    Dropout makes the loss higher in training mode, so only a loss that is higher in
    inference is judged. It comes from moving statistics that have not settled, or that
    were computed on other data.
    """
    end, graph = facts.end, facts.model.graph
    if end is None or not _differs(facts):
        return []
    nodes = graph.nodes if graph is not None else ()
    layers = [node.name for node in nodes if node.kind.startswith("Batch")]
    name = layers[0].rpartition("/")[2] if layers else None
    size = facts.data.batch_size if facts.data is not None else None
    if size is not None and size <= SMALL_BATCH:
        fixes = (
            advice.fit_with(facts, batch_size=32),
            "Or normalize without batches.",
        )
    elif name is not None:
        fixes = (
            f"keras.layers.BatchNormalization(momentum=0.9, name={name!r})",
            "Train for more steps, or use larger batches.",
        )
    else:
        fixes = (
            "print(model(x[:32], training=True), model(x[:32], training=False))",
            "Look for a layer or a `call` method that depends on `training`.",
        )
    text = (
        f"On the same {len(end.sample) if end.sample else 0} examples the loss is "
        f"{end.loss:.3g} in inference and {end.training_loss:.3g} in training mode."
    )
    return [
        finding(
            "train_and_inference_differ",
            "warning",
            f"layer '{layers[0]}'" if layers else "model",
            Evidence(text, end.loss, DIFFERS * (end.training_loss or 0.0)),
            *fixes,
            picture="loss",
        )
    ]


def _differs(facts: Facts) -> bool:
    """Returns whether the loss in inference is much higher, without penalties.

    Negative losses have no ratio. A constant predictor must be known, because a
    difference between two tiny losses does no harm.
    """
    end, trivial = facts.end, outcome_of(facts).trivial
    if end is None or end.loss is None or end.training_loss is None:
        return False
    loss, training_loss = end.loss - end.penalty, end.training_loss - end.penalty
    if trivial is None or training_loss < 0:
        return False
    is_higher = loss > DIFFERS * training_loss
    return bool(is_higher and loss - training_loss > MATTERS * trivial)


@rule("first_pass", "graph")
def random_inference(facts: Facts) -> list[Finding]:
    """Two predictions for the same inputs should agree.

    Models that sample, such as variational autoencoders, have layers of their own; only
    models whose layers are all of Keras, with dropout among them, are judged.
    """
    current, graph = facts.end or facts.start, facts.model.graph
    if current is None or not current.is_random or graph is None:
        return []
    # Random augmentation is off in inference.
    is_plain = all(
        node.role != "unknown" or node.kind.startswith("Random") for node in graph.nodes
    )
    layers = [node for node in graph.nodes if node.role == "dropout"]
    if not layers or not is_plain:
        return []
    node = layers[0]
    name = node.name.rpartition("/")[2]
    return [
        finding(
            "train_and_inference_differ",
            "warning",
            f"layer '{node.name}'",
            "Two predictions for the same inputs differ: noise such as dropout is on "
            "in inference.",
            f"keras.layers.{node.kind}({node.options.get('rate', 0.5)}, name={name!r})",
            "Call the layer without `training=True`. For Monte Carlo dropout on "
            "purpose, use a subclass of the layer, which is not judged.",
            picture="outputs",
        )
    ]


RULES = (overfitting, validation_without_progress, inference_differs, random_inference)
