"""Value of the objective in the result of a training."""

import math

import keras
import numpy as np
from keras_tuner import errors

from zoo.utils.arguments import invalid_argument

from ..trials.search_trial import DIVERGED
from .trial_end import TrialEnd


def missing_objective(name: str, logs) -> errors.FatalValueError:
    """Builds the error for an objective that is not in the logs."""
    listed = ", ".join(repr(each) for each in logs)
    is_validation = name.startswith("val_") and "'val_" not in listed
    fix = "Pass `validation_data` to `search`." if is_validation else ""
    expected = f"the name of a metric in the logs: {listed}"
    return errors.FatalValueError(
        str(invalid_argument("objective", expected, name, fix))
    )


def objective_value(result, objective) -> float:
    """Returns the objective from any type of result that KerasTuner allows."""
    if isinstance(result, keras.callbacks.History):
        # The only source if `fit` did not receive the `Execution` callback.
        epochs = zip(*result.history.values(), strict=True)
        logs = [dict(zip(result.history, values, strict=True)) for values in epochs]
        if not logs or not objective.has_value(logs[0]):
            raise missing_objective(objective.name, result.history)
        values = [objective.get_value(each) for each in logs]
        value = max(values) if objective.direction == "max" else min(values)
    elif isinstance(result, dict):
        if not objective.has_value(result):
            raise missing_objective(objective.name, result)
        value = objective.get_value(result)
    elif isinstance(result, int | float | np.floating):
        value = result
    else:
        raise errors.FatalTypeError(
            "Expected a number, a dict of metrics or a History from `fit` of the "
            f"hypermodel, or a list of these from `run_trial`. Received: {result!r}"
        )
    if not math.isfinite(value):
        raise TrialEnd(DIVERGED, f"{objective.name} is {value}")
    return float(value)
