"""Conversion between hyperparameters and the parameters of an Optuna study.

A hyperparameter with an ordered list of values, such as an integer with a step, becomes
the index of its value. A continuous hyperparameter keeps its values and its scale,
except that Optuna has no reversed log scale: there, the parameter is the position in
the range (see `probability.to_probability`). A categorical hyperparameter keeps its
values.

Optuna is optional, so this module imports it only when it is called.
"""

from typing import Any

from keras_tuner.engine.hyperparameters import HyperParameter, Int

from ..hyperparameters.probability import choices, is_ordered, key_of, to_probability


def distribution_of(hp: HyperParameter) -> Any:
    """Returns the Optuna distribution that corresponds to a hyperparameter.

    Example:

    >>> from keras_tuner.engine.hyperparameters import Float, Int
    >>> from tuning.oracles.optuna_parameters import distribution_of
    >>> distribution_of(Float("learning_rate", 1e-6, 10.0, sampling="log"))
    FloatDistribution(high=10.0, log=True, low=1e-06, step=None)
    >>> distribution_of(Int("batch_size", 32, 512, step=2, sampling="log"))
    IntDistribution(high=4, log=False, low=0, step=1)
    """
    from optuna import distributions

    if not is_ordered(hp):
        return distributions.CategoricalDistribution(list(hp.values))
    values = choices(hp)
    if values is not None:
        return distributions.IntDistribution(0, len(values) - 1)
    if hp.sampling == "reverse_log":
        return distributions.FloatDistribution(0.0, 1.0)
    is_integer = isinstance(hp, Int)
    kind = (
        distributions.IntDistribution if is_integer else distributions.FloatDistribution
    )
    return kind(hp.min_value, hp.max_value, log=hp.sampling == "log")


def suggest(draft, hp: HyperParameter):
    """Returns the value that a sampler proposes for a hyperparameter.

    Args:
        draft: `optuna.Trial`, as returned by `study.ask()`.
        hp: Hyperparameter.
    """
    from optuna import distributions

    name, distribution = key_of(hp), distribution_of(hp)
    if isinstance(distribution, distributions.CategoricalDistribution):
        return draft.suggest_categorical(name, distribution.choices)
    low, high, log = distribution.low, distribution.high, distribution.log
    if isinstance(distribution, distributions.IntDistribution):
        return _to_value(hp, draft.suggest_int(name, low, high, log=log))
    return _to_value(hp, draft.suggest_float(name, low, high, log=log))


def to_parameter(hp: HyperParameter, value):
    """Returns the parameter that corresponds to a value of a hyperparameter."""
    if not is_ordered(hp):
        return value
    values = choices(hp)
    if values is not None:
        # The value corresponds to the middle of one of equally many intervals.
        return int(to_probability(hp, value) * len(values))
    return to_probability(hp, value) if hp.sampling == "reverse_log" else value


def _to_value(hp: HyperParameter, parameter):
    """Converts the parameter of an ordered hyperparameter to its value."""
    values = choices(hp)
    if values is not None:
        return values[parameter]
    if hp.sampling == "reverse_log":
        return hp.prob_to_value(parameter)
    return min(max(parameter, hp.min_value), hp.max_value)
