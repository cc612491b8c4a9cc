"""Functions that read the loss and the accuracies of a compiled model."""

import inspect
from collections.abc import Callable, Sequence

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
ACCURACIES = (
    keras.metrics.Accuracy,
    keras.metrics.BinaryAccuracy,
    keras.metrics.CategoricalAccuracy,
    keras.metrics.SparseCategoricalAccuracy,
)
NAMES = (
    *("accuracy", "acc", "binary_accuracy", "categorical_accuracy"),
    "sparse_categorical_accuracy",
)


def expected_outputs(loss, num_outputs: int) -> str | None:
    """Returns the kind of outputs that a loss expects.

    Args:
        loss: Loss as passed to `compile`: a name, a function, a `Loss`, or a list or
            dict of one of these.
        num_outputs: Integer >= 1: number of outputs per example.

    Returns:
        "logits"; "probabilities"; "rates", which are not negative; "values", which
        approximate the labels; "margins", whose sign predicts the class; or `None` if
        unknown.
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


def user_metrics(model: keras.Model) -> list:
    """Returns the metrics and weighted metrics that were passed to `compile`.

    Keras stores them in private attributes. Its public attribute lists metrics only
    after an evaluation has built them, and their state belongs to the user.
    """
    compiled = model._compile_metrics
    if compiled is None:
        return []
    metrics = [compiled._user_metrics, compiled._user_weighted_metrics]
    return [one for one in keras.tree.flatten(metrics) if one is not None]


def thresholds(metrics: Sequence) -> list[float]:
    """Returns the thresholds of the binary accuracies of a model with one output."""
    return [
        float(metric.threshold)
        for metric in (_metric(one, 1) for one in metrics)
        if isinstance(metric, keras.metrics.BinaryAccuracy)
    ]


def accuracies(
    metrics: list, y: np.ndarray, classes: np.ndarray, outputs: np.ndarray
) -> dict[str, float]:
    """Computes the compiled accuracies without changing the state of the metrics.

    Args:
        metrics: Result of `user_metrics`.
        y: Labels in the user's format.
        classes: Integer array of shape `(examples,)`: the same labels as classes.
        outputs: Array of shape `(examples, outputs)`: the outputs of the model.

    Returns:
        A dict of names and values.
    """
    num_outputs = outputs.shape[1]
    found = {}
    for metric in (_metric(one, num_outputs) for one in metrics):
        if metric is None:
            continue
        if isinstance(metric, keras.metrics.CategoricalAccuracy):
            labels = np.eye(max(num_outputs, 2))[classes]
        elif isinstance(metric, keras.metrics.SparseCategoricalAccuracy) or (
            num_outputs == 1 and y.shape[1:] == (2,)
        ):
            labels = classes[:, None]
        else:
            labels = y
        metric.update_state(labels, outputs)
        found[metric.name] = float(keras.ops.convert_to_numpy(metric.result()))
    return found


def copy_metric(metric):
    """Returns a copy of a metric with its own state; returns other objects as is."""
    if not isinstance(metric, keras.metrics.Metric):
        return metric
    return type(metric).from_config(metric.get_config())


def _metric(identifier, num_outputs: int):
    """Returns a new metric if the identifier is an accuracy, or `None` otherwise.

    `BinaryAccuracy` does not qualify with several outputs, since it then averages over
    outputs instead of examples.
    """
    if isinstance(identifier, str) and identifier.lower() in ("accuracy", "acc"):
        if num_outputs == 1:
            return keras.metrics.BinaryAccuracy(name=identifier)
        return keras.metrics.SparseCategoricalAccuracy(name=identifier)
    metric = copy_metric(keras.metrics.get(identifier))
    if not isinstance(metric, keras.metrics.Metric):
        name = getattr(metric, "__name__", type(metric).__name__)
        if metric is getattr(keras.metrics, name, None):
            metric = keras.metrics.get(name)
        else:
            metric = keras.metrics.MeanMetricWrapper(metric, name=name)
    if isinstance(metric, keras.metrics.BinaryAccuracy) and num_outputs > 1:
        return None
    is_accuracy = isinstance(metric, ACCURACIES) or metric.name in NAMES
    return metric if is_accuracy else None


def _from_logits(loss) -> bool | None:
    """Returns the value or default of the `from_logits` argument of a loss, if any."""
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
    """Determines the kind of a loss of one output from its values for the label 1.

    A loss of logits keeps decreasing, and a squared error has its minimum at 1. A loss
    of probabilities or margins is constant above 1; only one of margins still
    decreases between -1 and 0.
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
