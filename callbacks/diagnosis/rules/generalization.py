"""Rules on the difference between training and validation, and on regularization."""

import numpy as np

from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..outcome import SURE, outcome_of
from .rule import rule

RISE = 1.5  # validation loss at the end over its minimum
MATTERS = 0.1  # of the trivial loss
GAP = 0.5  # training loss at the end over the lowest validation loss
MIN_EPOCHS = 3
DIFFERS = 1.5  # loss in inference over loss in training mode, on the same examples
PENALTY = 0.25  # of the whole loss: the weights give in to the penalty
MEMORIZED = 0.3  # share of the trivial loss that training has removed


@rule("end")
def overfitting(facts: Facts) -> list[Finding]:
    """The validation loss rises while the training loss falls.

    The rise must be at least half of the minimum, and last for a fifth of the epochs
    and at least three. The training loss must be below half of the lowest validation
    loss. Dropout makes the training loss higher, so it cannot cause a false alarm.
    """
    training = facts.training
    if training is None or not training.is_over:
        return []
    losses, validation = training.curve("loss"), training.curve("val_loss")
    if len(validation) < MIN_EPOCHS or len(validation) != len(losses):
        return []
    if not np.isfinite(validation).all() or validation.min() <= 0:
        return []
    best = int(validation.argmin())
    since = len(validation) - 1 - best
    rise = validation[-1] / validation.min()
    trivial = outcome_of(facts).trivial
    matters = trivial is None or validation[-1] - validation.min() > MATTERS * trivial
    is_gap = losses[-1] < GAP * validation.min()
    lasting = since >= max(MIN_EPOCHS, len(validation) // 5)
    if rise < RISE or not (matters and is_gap and lasting):
        return []
    return [
        finding(
            "overfitting",
            "warning",
            "training",
            Evidence(
                f"The validation loss rose from {validation.min():.3g} in epoch {best} "
                f"to {validation[-1]:.3g}, while the training loss fell to "
                f"{losses[-1]:.3g}.",
                float(rise),
                RISE,
                epoch=len(validation) - 1,
            ),
            "callbacks.EarlyStopping(patience=3, restore_best_weights=True)",
            "Use more data, augmentation, dropout, weight decay or a smaller model.",
            picture="loss",
        )
    ]


@rule("end")
def validation_without_progress(facts: Facts) -> list[Finding]:
    """Labels that do not depend on the inputs can be memorized, but not predicted.

    While training has removed 30 % of the trivial loss, the validation loss was never
    below it. Plain overfitting first improves on the trivial loss.
    """
    training = facts.training
    if training is None or not training.is_over or facts.model.losses[0].name is None:
        return []
    validation = training.curve("val_loss")
    outcome = outcome_of(facts)
    if outcome.trivial is None or outcome.explained is None:
        return []
    penalty = facts.end.penalty if facts.end is not None else 0.0
    if len(validation) < MIN_EPOCHS or outcome.explained < MEMORIZED:
        return []
    if not validation.min() - penalty > outcome.trivial:
        return []
    if facts.model.has_normalization and _differs(facts):
        return []  # the statistics of inference explain it
    test = facts.data.dependence if facts.data is not None else None
    if test is not None and test.best > test.trivial + SURE * test.deviation:
        return []  # a simple model can predict them
    return [
        finding(
            "labels_independent_of_inputs",
            "warning",
            "data `y`",
            [
                Evidence(
                    f"The validation loss was never below {validation.min():.3g}, "
                    f"while a constant predictor has {outcome.trivial:.3g}.",
                    float(validation.min()),
                    outcome.trivial,
                ),
                Evidence(
                    f"The training loss fell to {outcome.last:.3g}: the model "
                    "memorizes."
                ),
            ],
            "x, y = sklearn.utils.shuffle(x, y)",
            "Check that inputs and labels are in the same order, and that training and "
            "validation data come from the same source.",
            picture="loss",
        )
    ]


@rule("end")
def inference_differs(facts: Facts) -> list[Finding]:
    """The same examples must have about the same loss in training and inference mode.

    Dropout makes the loss higher in training mode, so only a loss that is higher in
    inference is judged. It comes from moving statistics that have not settled, or that
    were computed on other data.
    """
    end = facts.end
    if end is None or not _differs(facts):
        return []
    graph = facts.model.graph
    layers = [
        node for node in (graph.nodes if graph else ()) if node.kind.startswith("Batch")
    ]
    name = layers[0].name if layers else None
    return [
        finding(
            "train_and_inference_differ",
            "warning",
            f"layer '{name}'" if name else "model",
            Evidence(
                f"On the same {len(end.sample) if end.sample else 0} examples the loss "
                f"is {end.loss:.3g} in inference and {end.training_loss:.3g} in "
                "training mode.",
                end.loss,
                DIFFERS * (end.training_loss or 0),
            ),
            f"keras.layers.BatchNormalization(momentum=0.9, name={name!r})"
            if name
            else "model(x, training=False)",
            "Train for more steps, or use larger batches.",
            picture="loss",
        )
    ]


@rule("first_pass")
def random_inference(facts: Facts) -> list[Finding]:
    """Two predictions for the same inputs should agree.

    Models that sample, such as variational autoencoders, have layers of their own; only
    models whose layers are all of Keras, with dropout among them, are judged.
    """
    current = facts.end or facts.start
    graph = facts.model.graph
    if current is None or not current.is_random or graph is None:
        return []
    is_plain = all(node.role not in ("unknown",) for node in graph.nodes)
    layers = [node for node in graph.nodes if node.role == "dropout"]
    if not layers or not is_plain:
        return []
    return [
        finding(
            "train_and_inference_differ",
            "warning",
            f"layer '{layers[0].name}'",
            "Two predictions for the same inputs differ: noise such as dropout is on "
            "in inference.",
            f"x = keras.layers.Dropout({layers[0].options.get('rate', 0.5)}, "
            f"name={layers[0].name!r})(x)  # without training=True",
            picture="outputs",
        )
    ]


@rule("end")
def large_penalty(facts: Facts) -> list[Finding]:
    """A penalty that dominates the loss at the end has won against the data.

    More than a quarter of the loss is penalty, and the model has explained less than
    half. Weights that were shrunk to a tenth have no penalty left, and count as well.
    """
    training, end = facts.training, facts.end
    if training is None or end is None or not training.is_over:
        return []
    losses = training.curve("loss")
    outcome = outcome_of(facts)
    layers = [one for one in facts.model.layers if any(one.regularizers)]
    if not len(losses) or not layers or not (losses[-1] > 0):
        return []
    collapsed = outcome.is_trivial and end.penalty < PENALTY * losses[-1]
    share = end.penalty / losses[-1]
    is_bad = outcome.is_poor or outcome.could_be_better
    if not is_bad or (share < PENALTY and not (collapsed and _shrunk(facts))):
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
                f"{share:.0%} of the last loss are regularization terms, with "
                f"{name} = {value:g}; the weights have shrunk to "
                f"{_remaining(facts):.2g} of their first norm.",
                share,
                PENALTY,
            ),
            f"kernel_regularizer=keras.regularizers.{name}({value / 100:g})",
            picture="loss",
        )
    ]


def _differs(facts: Facts) -> bool:
    end = facts.end
    if end is None or end.loss is None or end.training_loss is None:
        return False
    trivial = outcome_of(facts).trivial or abs(end.training_loss)
    difference = end.loss - end.training_loss
    return bool(
        end.loss > DIFFERS * end.training_loss and difference > MATTERS * trivial
    )


def _remaining(facts: Facts) -> float:
    """Returns the last norm of the kernels over the first, as a median."""
    training = facts.training
    if training is None or len(training.step) < 2 or not training.kernels:
        return 1.0
    norms = training.weight_norm[:, training.kernels]
    with np.errstate(invalid="ignore", divide="ignore"):
        return float(np.nanmedian(norms[-1] / norms[0]))


def _shrunk(facts: Facts) -> bool:
    return _remaining(facts) < 0.1


RULES = (
    overfitting,
    validation_without_progress,
    inference_differs,
    random_inference,
    large_penalty,
)
