"""Value of the objective in the result of a training run."""

import math

import keras
import numpy as np
from keras_tuner import errors

from zoo.utils.arguments import close_match, invalid_argument

from ..trials.search_trial import DIVERGED
from .trial_end import TrialEnd


def missing_objective(objective, logs) -> errors.FatalValueError:
    """Builds the error for an objective that is not in the logs."""
    name = next(name for name in names_of(objective) if name not in logs)
    listed = ", ".join(repr(each) for each in logs)
    fix = close_match(name, logs)
    if name.startswith("val_") and "'val_" not in listed:
        fix = "Pass `validation_data` to `search`."
    expected = f"the name of a metric in the logs: {listed}"
    return errors.FatalValueError(
        str(invalid_argument("objective", expected, name, fix))
    )


def names_of(objective) -> list[str]:
    """Returns the names of the metrics of an objective, which may be a sum."""
    return list(getattr(objective, "name_to_direction", [objective.name]))


def objective_value(result, objective) -> float:
    """Returns the value of the objective in the result of a training run.

    The result can have any type that KerasTuner allows. For a `History`, the value is
    the best value over all epochs.

    Raises:
        FatalValueError: If the result does not contain the objective.
        FatalTypeError: If the result has an unsupported type.
        TrialEnd: If the value is not finite.
    """
    if isinstance(result, keras.callbacks.History):
        # The history is the only source if `fit` did not use the `Execution` callback.
        if not objective.has_value(result.history):
            raise missing_objective(objective, result.history)
        names = names_of(objective)  # others may have been logged in fewer epochs
        epochs = zip(*(result.history[name] for name in names), strict=True)
        logs = [dict(zip(names, values, strict=True)) for values in epochs]
        values = [objective.get_value(each) for each in logs]
        value = max(values) if objective.direction == "max" else min(values)
    elif isinstance(result, dict):
        if not objective.has_value(result):
            raise missing_objective(objective, result)
        value = objective.get_value(result)
    elif isinstance(result, int | float | np.floating):
        value = result
    else:
        raise errors.FatalTypeError(
            "Expected a number, a dict of metrics or a History from the hypermodel's "
            f"`fit`, or a list of these from `run_trial`. Received: {result!r}"
        )
    if not math.isfinite(value):
        raise TrialEnd(DIVERGED, f"{objective.name} is {value}")
    return float(value)
