"""The values that a search is told to try first."""

from collections.abc import Sequence

import keras_tuner
from keras_tuner import errors
from keras_tuner.engine import hyperparameters as kt

from zoo.utils.arguments import invalid_argument

from .hyperparameters import DrawnHyperParameters
from .probability import own_value


def check_initial_trials(
    trials: Sequence[dict],
    hypermodel: keras_tuner.HyperModel | None,
    oracle: keras_tuner.Oracle,
) -> list[dict]:
    """Returns the first trials, each of them built once, and the defaults at the end.

    Args:
        trials: Dicts of values by the names of hyperparameters.
        hypermodel: What builds their models, or `None`.
        oracle: What learns of the hyperparameters that they have.

    Raises:
        ValueError: If a hyperparameter does not exist, or lacks the value.
    """
    for given in trials:
        if not isinstance(given, dict):
            expected = "dicts of values by the names of hyperparameters"
            raise invalid_argument("initial_trials", expected, trials)
        space = DrawnHyperParameters()
        space.given = oracle.hyperparameters.given
        space.draw = lambda hp, given=given: given_value(hp, given)[0]
        space.merge(oracle.hyperparameters.space)
        if hypermodel is not None:
            hypermodel.build(space)
            oracle.update_space(space)
            check_names(given, space)
    return [*trials, {}]


def given_value(hp: kt.HyperParameter, given: dict) -> tuple:
    """Returns the value of a hyperparameter in a first trial, and where it comes from.

    Args:
        hp: Hyperparameter.
        given: The values that the trial is given, by name.

    Raises:
        ValueError: If the range of the hyperparameter lacks the value.
    """
    if hp.name not in given:
        return hp.default, "default"
    try:
        return own_value(hp, given[hp.name]), "initial"
    except (ValueError, TypeError) as error:
        expected = f"values of hyperparameter '{hp.name}' that its range has"
        wrong = invalid_argument("initial_trials", expected, given, str(error))
        raise errors.FatalValueError(str(wrong)) from None


def check_names(given: dict, space: DrawnHyperParameters) -> None:
    """Raises if a first trial is given values that its model does not have.

    Args:
        given: The values by name.
        space: Hyperparameters that were asked for their values.

    Raises:
        ValueError: If it is given others.
    """
    names = [name for name in space.values.unrecorded() if name in space.asked]
    unknown = sorted(set(given) - set(names))
    if unknown:
        active = ", ".join(map(repr, names))
        wrong = invalid_argument(
            "initial_trials",
            f"names of hyperparameters that these values have: {active}",
            unknown,
        )
        raise errors.FatalValueError(str(wrong))
