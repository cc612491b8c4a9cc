"""Initial trials, which a search runs before random trials."""

from collections.abc import Sequence

import keras_tuner
from keras_tuner import errors
from keras_tuner.engine.hyperparameters import HyperParameter

from zoo.utils.arguments import close_match, invalid_argument

from ..hyperparameters.drawn_hyperparameters import DrawnHyperParameters
from ..hyperparameters.probability import own_value


def check_initial_trials(
    trials: Sequence[dict],
    hypermodel: keras_tuner.HyperModel | None,
    oracle: keras_tuner.Oracle,
) -> list[dict]:
    """Checks the initial trials by building the model of each trial once.

    Args:
        trials: List with one dict per trial, which maps hyperparameter names to values.
        hypermodel: Hypermodel that builds the models. If `None`, only the values of
            hyperparameters that the oracle already knows are checked.
        oracle: Oracle that registers the hyperparameters of the models.

    Returns:
        A list of the initial trials, followed by an empty dict, which represents the
        trial with the defaults.

    Raises:
        ValueError: If a trial is not a dict, names a hyperparameter that does not
            exist, or contains a value outside the range of its hyperparameter.
    """
    for given in trials:
        if not isinstance(given, dict):
            expected = "dicts of values by hyperparameter name"
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


def given_value(hp: HyperParameter, given: dict) -> tuple:
    """Returns the value of a hyperparameter in an initial trial, and its source.

    Args:
        hp: Hyperparameter.
        given: Values of the initial trial, by name.

    Returns:
        The value and its source: "initial", or "default" if `given` does not contain
        the name of the hyperparameter.

    Raises:
        ValueError: If the value is outside the range of the hyperparameter.
    """
    if hp.name not in given:
        return hp.default, "default"
    try:
        return own_value(hp, given[hp.name]), "initial"
    except (ValueError, TypeError) as error:
        expected = f"values in the range of hyperparameter '{hp.name}'"
        wrong = invalid_argument("initial_trials", expected, given, str(error))
        raise errors.FatalValueError(str(wrong)) from None


def check_names(given: dict, space: DrawnHyperParameters) -> None:
    """Raises an error if an initial trial contains values that `build` does not read.

    Args:
        given: Values of the initial trial, by name.
        space: Hyperparameters after the call to `build`.

    Raises:
        ValueError: If `given` contains values that `build` did not read.
    """
    names = [name for name in space.values.unrecorded() if name in space.asked]
    unknown = sorted(set(given) - set(names))
    if unknown:
        active = ", ".join(map(repr, names))
        wrong = invalid_argument(
            "initial_trials",
            f"names of hyperparameters that these values have: {active}",
            unknown,
            close_match(unknown[0], names),
        )
        raise errors.FatalValueError(str(wrong))
