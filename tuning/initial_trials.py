"""The values that a search is told to try first."""

from collections.abc import Sequence

import keras_tuner

from zoo.arguments import invalid_argument

from .hyperparameters import DrawnHyperParameters
from .probability import to_probability
from .search_oracle import SearchOracle


def check_initial_trials(
    trials: Sequence[dict],
    hypermodel: keras_tuner.HyperModel | None,
    oracle: SearchOracle,
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
        if hypermodel is None:
            continue
        space = DrawnHyperParameters()
        space.draw = lambda hp, given=given: _value(hp, given)
        space.merge(oracle.hyperparameters.space)
        hypermodel.build(space)
        oracle.update_space(space)
        unknown = sorted(set(given) - set(space.values))
        if unknown:
            active = ", ".join(repr(name) for name in space.values)
            raise invalid_argument(
                "initial_trials",
                f"names of hyperparameters that these values have: {active}",
                unknown,
            )
    return [*trials, {}]


def _value(hp, given: dict):
    if hp.name not in given:
        return hp.default
    try:
        to_probability(hp, given[hp.name])
    except (ValueError, TypeError) as error:
        expected = f"values of hyperparameter '{hp.name}' that its range has"
        fix = str(error)
        raise invalid_argument("initial_trials", expected, given, fix) from None
    return given[hp.name]
