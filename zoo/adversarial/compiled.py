"""What `compile` says about the outputs of a model: its loss and its accuracies."""

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
    """Returns what a loss takes the outputs of a model for.

    Args:
        loss: What `compile` takes: a name, function, `Loss`, or a list or dict of one.
        num_outputs: Integer >= 1: outputs for an example.

    Returns:
        "logits"; "probabilities"; "rates", which are not negative; "values", which
        are close to the labels; "margins", whose sign is the class; or `None` where
        it cannot be told.
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
    """Returns the metrics as `compile` received them, weighted ones too.

    Keras keeps them under private names; in public it has only those that an
    evaluation has built, whose state is the user's.
    """
    compiled = model._compile_metrics
    if compiled is None:
        return []
    metrics = [compiled._user_metrics, compiled._user_weighted_metrics]
    return [one for one in keras.tree.flatten(metrics) if one is not None]


def thresholds(metrics: Sequence) -> list[float]:
    """Returns the thresholds of binary accuracies on a single output."""
    return [
        float(metric.threshold)
        for metric in (_metric(one, 1) for one in metrics)
        if isinstance(metric, keras.metrics.BinaryAccuracy)
    ]


def accuracies(
    metrics: list, y: np.ndarray, classes: np.ndarray, outputs: np.ndarray
) -> dict[str, float]:
    """Computes the accuracies among compiled metrics, whose state stays as it is.

    Args:
        metrics: What `user_metrics` returned.
        y: Labels as the user gave them.
        classes: Integer array of shape `(examples,)`: the same labels.
        outputs: Array of shape `(examples, outputs)`: what the model returned.

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
    """Returns an equal metric with a state of its own; what is none is as it was."""
    if not isinstance(metric, keras.metrics.Metric):
        return metric
    return type(metric).from_config(metric.get_config())


def _metric(identifier, num_outputs: int):
    """A new metric that is the accuracy of a prediction, or `None` if it is another.

    `BinaryAccuracy` over several outputs counts outputs, not examples.
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
    """The argument `from_logits` of a loss, given or by default, if it has one."""
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
    """Tells a loss of one output by its values where the label is 1.

    On logits it falls without end, a squared error has its minimum at 1, and on
    probabilities or margins nothing changes above 1; only margins go below 0.
    """
    label = np.ones((1, 1), "float32")

    def at(output):
        value = loss(label, np.full((1, 1), output, "float32"))
        return float(np.mean(keras.ops.convert_to_numpy(value)))

    try:
        below, zero, one, far = (at(output) for output in (-1.0, 0.0, 1.0, 9.0))
    except Exception:  # code of the user, which need not take these arguments
        return None
    if not np.isfinite([zero, one, far]).all() or zero <= one:
        return None
    slack = 1e-4 * (zero - one)
    if far < one - slack:
        return LOGITS
    if far > one + slack:
        return VALUES
    return MARGINS if below > zero + slack else PROBABILITIES
