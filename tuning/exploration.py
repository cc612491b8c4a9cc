"""The hyperparameters of a hypermodel, found by building it."""

import keras_tuner

from .hyperparameters import DrawnHyperParameters
from .probability import own_value
from .search_oracle import SearchOracle


def explore(hypermodel: keras_tuner.HyperModel, oracle: SearchOracle) -> None:
    """Builds a hypermodel with its defaults, then once for each closed scope.

    A scope is closed where one of its conditions does not hold. KerasTuner builds on
    until all are open: for ever, if one never is.

    Args:
        hypermodel: What declares hyperparameters.
        oracle: What learns of them.
    """
    hp = oracle.get_space()
    hypermodel.declare_hyperparameters(hp)
    oracle.update_space(hp)
    opened, closed = [], []
    hp = oracle.get_space()
    while hp is not None:
        hypermodel.build(hp)
        oracle.update_space(hp)
        for scope in [*hp.inactive_scopes, *hp.active_scopes]:
            known = opened if hp.are_met(scope) else closed
            if scope not in known:
                known.append(scope)
        hp = _opening_next(oracle, opened, closed)


def _opening_next(oracle, opened: list, closed: list) -> DrawnHyperParameters | None:
    """Values that open the next closed scope, `None` if no other can be opened."""
    for scope in closed:
        if scope in opened:
            continue
        opened.append(scope)  # or it never will be
        hp = oracle.get_space()
        for condition in scope:
            hp.values.update(_met(hp, condition))
        hp.ensure_active_values()
        if hp.are_met(scope):
            return hp
    return None


def _met(hp: DrawnHyperParameters, condition) -> dict:
    """A value that meets a condition, by name; none if the range has no such value."""
    for value in condition.values:
        for parent in hp.space:
            if parent.name == condition.name:
                try:
                    return {parent.name: own_value(parent, value)}
                except (ValueError, TypeError):
                    continue
    return {}
