"""A function that determines which kind of output a loss expects."""

import inspect
from collections.abc import Callable

import keras
import numpy as np

LOGITS, PROBABILITIES = "logits", "probabilities"
RATES, VALUES, MARGINS = "rates", "values", "margins"
LOSSES = {
    PROBABILITIES: (
        *("KLDivergence", "kl_divergence", "Dice", "dice", "Tversky", "tversky"),
        *(
            "CategoricalGeneralizedCrossEntropy",
            "categorical_generalized_cross_entropy",
        ),
    ),
    RATES: ("Poisson", "poisson"),
    VALUES: (
        *("MeanSquaredError", "mean_squared_error", "LogCosh", "log_cosh"),
        *("MeanAbsoluteError", "mean_absolute_error", "Huber", "huber"),
        *("MeanAbsolutePercentageError", "mean_absolute_percentage_error"),
        *("MeanSquaredLogarithmicError", "mean_squared_logarithmic_error"),
        *("CosineSimilarity", "cosine_similarity"),
    ),
    MARGINS: ("Hinge", "hinge", "SquaredHinge", "squared_hinge"),
}
INTEGER_LABELS = (
    "sparse_categorical_crossentropy",
    "categorical_generalized_cross_entropy",
)


def expected_outputs(loss, num_outputs: int) -> str | None:
    """Determines which kind of output a loss expects.

    Args:
        loss: Loss as passed to `compile`: a name, a function, a `Loss`, or a list or
            dict that contains one of these.
        num_outputs: Integer >= 1: number of outputs per example.

    Returns:
        `None` if unknown, or one of the following:

        - "logits";
        - "probabilities";
        - "rates", which are not negative;
        - "values", which approximate the labels;
        - "margins", whose sign predicts the class.
    """
    losses = [one for one in keras.tree.flatten(loss) if one is not None]
    if len(losses) != 1:
        return None
    loss = losses[0]
    if isinstance(loss, str):
        if loss.lower() in ("crossentropy", "ce"):
            return PROBABILITIES
        loss = keras.losses.get(loss)
    from_logits = _from_logits(loss)
    if from_logits is not None:
        return LOGITS if from_logits else PROBABILITIES
    function = getattr(loss, "fn", loss)
    for kind, names in LOSSES.items():
        known = [getattr(keras.losses, name, None) for name in names]
        if loss in known or function in known or type(loss) in known:
            return kind
    return _by_behavior(loss) if num_outputs == 1 and callable(loss) else None


def matching_loss(loss, num_outputs: int, from_logits: bool) -> str:
    """Returns the line that compiles a model with a similar loss, to be pasted.

    Args:
        loss: Loss as passed to `compile`. If it is no cross-entropy of Keras, the line
            contains the cross-entropy for integer labels.
        num_outputs: Integer >= 1: number of outputs per example.
        from_logits: Whether the outputs are logits.
    """
    default = "Binary" if num_outputs == 1 else "SparseCategorical"
    name = f"{default}Crossentropy"
    words = _name_of(loss).split("_")
    found = "".join(word.capitalize() for word in words)
    if found.endswith("Crossentropy") and hasattr(keras.losses, found):
        name = found
    metric = '"accuracy"'
    if num_outputs == 1 and from_logits:
        metric = "keras.metrics.BinaryAccuracy(threshold=0)"
    return (
        f'Use: compile("adam", keras.losses.{name}(from_logits={from_logits}), '
        f"metrics=[{metric}])"
    )


def expects_one_hot(loss) -> bool | None:
    """Returns whether a loss of Keras expects one-hot labels instead of integers.

    Args:
        loss: Loss as passed to `compile`.

    Returns:
        `None` if the loss is unknown, such as a user-defined one, or accepts both.
    """
    name = _name_of(loss)
    return name not in INTEGER_LABELS if name else None


def _name_of(loss) -> str:
    """Returns the name of the function of a Keras loss, or `""` for other losses."""
    losses = [one for one in keras.tree.flatten(loss) if one is not None]
    if len(losses) != 1:
        return ""
    known = losses[0]
    if isinstance(known, str):
        if known.lower() in ("crossentropy", "ce"):
            return ""
        known = keras.losses.get(known)
    function = getattr(known, "fn", known)
    name = getattr(function, "__name__", "")
    return name if getattr(keras.losses, name, None) is function else ""


def _from_logits(loss) -> bool | None:
    """Returns the value of the `from_logits` argument of a loss, or its default.

    The result is `None` if the loss has no such argument.
    """
    given, function = getattr(loss, "from_logits", None), loss
    if isinstance(loss, keras.losses.Loss):
        function = getattr(loss, "fn", None)
        given = loss.get_config().get("from_logits") if given is None else given
    if isinstance(given, bool) or not callable(function):
        return given if isinstance(given, bool) else None
    try:
        parameter = inspect.signature(function).parameters.get("from_logits")
    except (TypeError, ValueError):  # a callable without a signature
        return None
    default = parameter.default if parameter else None
    return default if isinstance(default, bool) else None


def _by_behavior(loss: Callable) -> str | None:
    """Infers which kind of output a loss expects by evaluating the loss.

    The loss is evaluated for a single output and the label 1. As the output increases,
    a loss for logits keeps decreasing, whereas a squared error has its minimum at 1.
    Losses for probabilities and for margins are constant above 1, but only a loss for
    margins decreases between -1 and 0.
    """
    label = np.ones((1, 1), "float32")

    def at(output):
        value = loss(label, np.full((1, 1), output, "float32"))
        return float(np.mean(keras.ops.convert_to_numpy(value)))

    try:
        below, zero, one, far = (at(output) for output in (-1.0, 0.0, 1.0, 9.0))
    except Exception:  # a user-defined loss may reject these arguments
        return None
    if not np.isfinite([zero, one, far]).all() or zero <= one:
        return None
    slack = 1e-4 * (zero - one)
    if far < one - slack:
        return LOGITS
    if far > one + slack:
        return VALUES
    return MARGINS if below > zero + slack else PROBABILITIES
