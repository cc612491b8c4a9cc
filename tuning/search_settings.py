"""Settings that identify a search and must not change when the search continues."""

from .hyperparameters.probability import key_of


def search_settings(search) -> dict:
    """Returns the settings of a `RandomSearch` in a JSON-serializable form."""
    oracle = search.oracle
    return {
        "search": type(search).__name__,
        "objective": oracle.objective.name,
        "direction": oracle.objective.direction,
        "objectives": getattr(oracle.objective, "name_to_direction", {}),
        "seed": oracle.seed,
        "executions_per_trial": search.executions_per_trial,
        "folds": search.folds,
        "prune": search.prune,
        "initial_trials": list(oracle.initial[:-1]),
        "space": {
            key_of(hp): {"type": type(hp).__name__, **hp.get_config()}
            for hp in oracle.hyperparameters.space
        },
        "hypermodel": getattr(search.hypermodel, "settings", {}),
    }


def fit_settings(fit_kwargs: dict) -> dict:
    """Returns the `fit` arguments that must not change when the search continues.

    These are all arguments whose values are numbers, booleans or strings.
    """
    return {
        name: value
        for name, value in fit_kwargs.items()
        if isinstance(value, str | int | float | bool)
    }
