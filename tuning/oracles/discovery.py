"""Discovery of the hyperparameters of a hypermodel by building its model."""

import keras_tuner

from ..hyperparameters.drawn_hyperparameters import DrawnHyperParameters
from ..hyperparameters.probability import own_value
from .search_oracle import SearchOracle


def discover_hyperparameters(
    hypermodel: keras_tuner.HyperModel, oracle: SearchOracle
) -> None:
    """Discovers all hyperparameters, including those in conditional scopes.

    The model is built with the defaults, and then once more for each conditional scope
    that no build has activated yet. A scope is inactive if one of its conditions is not
    met. KerasTuner's own method keeps building until all scopes have been active, and
    never stops if a scope cannot be activated.

    Args:
        hypermodel: Hypermodel that declares the hyperparameters.
        oracle: Oracle that registers the hyperparameters.
    """
    hp: DrawnHyperParameters | None = oracle.get_space()
    hypermodel.declare_hyperparameters(hp)
    oracle.update_space(hp)
    opened: list = []
    closed: list = []
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
    """Returns values that activate the next inactive scope.

    Scopes that cannot be activated are skipped. If no scope is left, returns `None`.
    """
    for scope in closed:
        if scope in opened:
            continue
        opened.append(scope)  # try each scope only once
        hp = oracle.get_space()
        for condition in scope:
            hp.values.update(_met(hp, condition))
        hp.ensure_active_values()
        if hp.are_met(scope):
            return hp
    return None


def _met(hp: DrawnHyperParameters, condition) -> dict:
    """Returns a dict that maps a hyperparameter name to a value that meets a condition.

    If no value meets the condition, the dict is empty.
    """
    for value in condition.values:
        for parent in hp.space:
            if parent.name == condition.name:
                try:
                    return {parent.name: own_value(parent, value)}
                except (ValueError, TypeError):
                    continue
    return {}
