"""The step where state is passed along: JAX."""

import keras

from .common import begin_step, patched


def make_function(model, callbacks: list):
    """Returns a train function of the model in which callbacks take part.

    The callbacks' variables go through the compiled step as a fifth part of Keras'
    state, and come back to the variables without waiting for the values.

    Args:
        model: Compiled model.
        callbacks: List of callbacks, which may be filled until the first call.
    """
    own_step = model.train_step
    own_shardings = model._get_state_sharding_spec

    def variables():
        return [variable for call in callbacks for variable in call.step_variables()]

    def train_step(state, data):
        *state, values = state
        _, _, optimizer_values, _ = state
        mapping = [
            *zip(variables(), values, strict=True),
            *zip(model.optimizer.variables, optimizer_values, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            begin_step(model, callbacks)
        values = [scope.get_current_value(variable) for variable in variables()]
        logs, state = own_step(tuple(state), data)
        return logs, (*state, values)

    def shardings():
        return (*own_shardings(), None)  # no constraint on the fifth part

    with patched(model, train_step=train_step, _get_state_sharding_spec=shardings):
        model.make_train_function(force=True)
    function = model.train_function

    def train_function(state, iterator):
        values = [variable.value for variable in variables()]
        logs, (*state, values) = function((*state, values), iterator)
        for variable, value in zip(variables(), values, strict=True):
            variable.assign(value)
        return logs, tuple(state)

    return train_function
