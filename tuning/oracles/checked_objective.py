"""Validation of objectives."""

import re

import keras
import keras_tuner
from keras_tuner.engine.metrics_tracking import infer_metric_direction

from zoo.utils.arguments import close_match, invalid_argument
from zoo.utils.metric_names import is_accuracy

KNOWN = ("loss", "accuracy", "robust_accuracy", "certified_accuracy")
DIRECTIONS = ("min", "max")


def checked_objective(objective):
    """Returns the objective in a form whose direction KerasTuner knows.

    Args:
        objective: As in `RandomSearch`.

    Raises:
        ValueError: If the objective is invalid, or if its direction is not known.
    """
    if isinstance(objective, list) and objective:
        return [checked_objective(each) for each in objective]
    if objective is None:
        return None
    if isinstance(objective, keras_tuner.Objective):
        if objective.direction not in DIRECTIONS:
            # Otherwise, no value would be better than the first one.
            raise invalid_argument(
                "objective",
                "a `keras_tuner.Objective` with direction 'min' or 'max'",
                str(objective),
                close_match(objective.direction, DIRECTIONS),
            )
        return objective
    if not isinstance(objective, str):
        expected = "the name of a metric, a `keras_tuner.Objective` or a list of these"
        raise invalid_argument("objective", expected, objective)
    if is_accuracy(objective):
        return keras_tuner.Objective(objective, "max")
    if infer_metric_direction(objective) is None:
        raise _unknown(objective)
    return objective


def _unknown(name: str) -> ValueError:
    prefix = "val_" if name.startswith("val_") else ""
    names = [prefix + known for known in (*KNOWN, *_names_of_keras())]
    own = (
        f"For a metric of your own, pass `keras_tuner.Objective({name!r}, 'max')`, or "
        "'min' if lower values are better."
    )
    return invalid_argument(
        "objective",
        "the name of a metric that Keras knows, such as 'val_accuracy', or a "
        "`keras_tuner.Objective`, which also has a direction",
        name,
        f"{close_match(name, names)} {own}".strip(),
    )


def _names_of_keras() -> list[str]:
    """Returns the names under which Keras logs its metrics."""
    public = [name for name in dir(keras.metrics) if not name.startswith("_")]
    return [re.sub("(?<=[a-z0-9])(?=[A-Z])", "_", name).lower() for name in public]
