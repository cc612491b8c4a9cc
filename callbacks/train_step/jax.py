"""The step where state is passed along: JAX."""

import jax
import jax.numpy as jnp
import keras
import numpy as np

from .common import begin_clock, begin_step, choose, make_variable, patched
from .look import Look
from .sample import NUM_BINS


def make_function(model, own, callbacks: list, recorder):
    """Returns a train function of the model in which callbacks take part.

    The callbacks' variables, and those of the recorder, go through the compiled step
    as a fifth part of Keras' state, and come back to the variables without waiting
    for the values.

    Args:
        model: Compiled model.
        own: The model's own train function.
        callbacks: List of callbacks.
        recorder: `Recorder` of the steps, or `None`.
    """
    own_step = model.train_step
    own_shardings = model._get_state_sharding_spec

    def variables():
        participants = [*callbacks, recorder] if recorder else callbacks
        return [variable for one in participants for variable in one.step_variables()]

    def train_step(state, data):
        *state, values = state
        _, _, optimizer_values, _ = state
        mapping = [
            *zip(variables(), values, strict=True),
            *zip(model.optimizer.variables, optimizer_values, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            begin_step(model, callbacks)
            if recorder is not None:
                recorder.updates = 0
                clock = begin_clock(recorder.clock.value)
                recorder.clock.assign(jnp.stack(clock))
        attributes = _observed(recorder, model.optimizer, scope)
        with patched(model.optimizer, **attributes):
            logs, state = own_step(tuple(state), data)
        values = [scope.get_current_value(variable) for variable in variables()]
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


def is_compiled(model) -> bool:
    """Whether the first call of the train function has traced all of the step."""
    return bool(model.jit_compile) and not model.run_eagerly


def has_free_condition(model) -> bool:
    """Whether a condition inside the step costs nothing; XLA copies the weights."""
    return False


def _observed(recorder, optimizer, scope) -> dict:
    """Returns the optimizer's `stateless_apply`, observed, by its name."""
    if recorder is None:
        return {}
    own = optimizer.stateless_apply

    def stateless_apply(optimizer_values, gradients, old):
        new, state = own(optimizer_values, gradients, old)
        recorder.count_update()
        clock, *rows = map(scope.get_current_value, recorder.step_variables())
        clock = list(clock)
        mapping = list(zip(optimizer.variables, optimizer_values, strict=True))
        with keras.StatelessScope(mapping):
            variables = optimizer._trainable_variables
            look = Look(recorder, optimizer, gradients, variables, clock)

        def record():
            with keras.StatelessScope(mapping):
                before = look.before()
            return look.record(before, look.known(old), look.known(new), rows, clock)

        is_due = look.is_due
        if not isinstance(is_due, jax.core.Tracer):  # as under `run_eagerly`
            is_due = bool(is_due)
        records = choose(is_due, record, lambda: rows)
        values = [jnp.stack(look.next_clock(clock)), *records]
        for update in zip(recorder.step_variables(), values, strict=True):
            scope.add_update(update)
        return new, state

    return {"stateless_apply": stateless_apply}


def make_clock(model):
    """Returns the variable of the clock."""
    return make_variable(model, np.zeros(4, "int32"), "int32")


def set_clock(clock, numbers: list) -> None:
    """Makes a clock say these numbers."""
    clock.assign(np.array(numbers, "int32"))


def numbers(clock) -> list:
    """Returns what a clock says."""
    return np.asarray(clock.value).tolist()


def dense(gradient):
    """Returns a gradient as a tensor, which it is."""
    return gradient


def norms(tensors: list):
    """Returns the norm of every tensor."""
    return jnp.sqrt(jnp.stack([_square_sum(tensor.ravel()) for tensor in tensors]))


def _square_sum(tensor):
    return jnp.vdot(tensor, tensor, precision="highest")


def largest(tensors: list):
    """Returns the largest magnitude of every tensor."""
    return jnp.stack([jnp.max(jnp.abs(tensor)) for tensor in tensors])


def count_exponents(tensors: list):
    """Returns for every tensor how many entries have each sign and exponent."""
    return jnp.stack([_count_exponents(tensor) for tensor in tensors])


def _count_exponents(tensor):
    bits = jax.lax.bitcast_convert_type(tensor.ravel(), jnp.uint32)
    return jnp.zeros(NUM_BINS, "int32").at[bits >> 23].add(1)
