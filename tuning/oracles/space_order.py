"""Order and names of the hyperparameters of a search space."""

from collections.abc import Iterable

from ..hyperparameters.drawn_hyperparameters import DrawnHyperParameters
from ..hyperparameters.probability import key_of
from ..trials.search_trial import SearchTrial


def in_order_of_trials(
    known: DrawnHyperParameters, trials: Iterable[SearchTrial]
) -> DrawnHyperParameters:
    """Sorts hyperparameters by the first trial that declared each of them.

    Trials that run at the same time may end in any order. Sorting gives the order in
    which trials that run one by one declare the hyperparameters.

    Args:
        known: Hyperparameters to sort.
        trials: All trials, ordered by number.
    """
    by_key = {key_of(hp): hp for hp in known.space}
    spaces = [trial.hyperparameters.space for trial in trials]
    order = dict.fromkeys(key_of(hp) for space in spaces for hp in space) | by_key
    space = [by_key[key] for key in order if key in by_key]
    return DrawnHyperParameters.of(space, known.values.unrecorded(), known.given)


def names_of(spaces: Iterable[DrawnHyperParameters]) -> set[str]:
    """Returns the names of all hyperparameters of some spaces."""
    return {hp.name for each in spaces for hp in each.space}
