"""The step where state is passed along: JAX."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import keras
import numpy as np

from .common import begin_clock, begin_step, make_variable, patched
from .look import Look
from .sample import NUM_BINS

SMALL = 2**12  # entries of a tensor that is measured together with others

FEW = 2**20  # weights


def make_function(model, own, callbacks: list, recorder, args: tuple):
    """Returns a train function of the model in which callbacks take part.

    The callbacks' variables, and those of the recorder, go through the compiled step
    as a fifth part of Keras' state, and come back to the variables without waiting
    for the values.

    Args:
        model: Compiled model.
        own: The model's own train function.
        callbacks: List of callbacks.
        recorder: `Recorder` of the steps, or `None`.
        args: Arguments of the first call.
    """
    own_step = model.train_step
    state, _ = args
    # Not those of the variables, which Keras has emptied before the call.
    own_shardings = jax.tree.map(lambda value: value.sharding, state)

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
        return (*own_shardings, None)  # no constraint on the fifth part

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
    """Whether a condition inside the step costs nothing.

    For an observed update XLA keeps the weights twice, which costs less than a second
    compilation where they are few.
    """
    return model.count_params() <= FEW


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

        def record(rows):
            with keras.StatelessScope(mapping):
                before = look.before()
            return look.record(before, look.known(old), look.known(new), rows, clock)

        values = [jnp.stack(look.next_clock(clock)), *when(look.is_due, record, rows)]
        for update in zip(recorder.step_variables(), values, strict=True):
            scope.add_update(update)
        return new, state

    return {"stateless_apply": stateless_apply}


def when(predicate, function, values: list) -> list:
    """Returns `function(values)` if the predicate holds, and else the values.

    A loop that runs once or not at all changes the values in place; a condition would
    copy them.
    """
    if not isinstance(predicate, jax.core.Tracer):  # such as under `run_eagerly`
        return function(values) if predicate else values

    def body(carry):
        return jnp.zeros((), bool), function(carry[1])

    return jax.lax.while_loop(lambda carry: carry[0], body, (predicate, values))[1]


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


class _Difference(NamedTuple):
    """A tensor minus another, which is subtracted together with others."""

    new: jax.Array
    old: jax.Array

    @property
    def size(self) -> int:
        return self.new.size

    @property
    def dtype(self):
        return self.new.dtype


def operands(tensors: list, minus: list | None = None) -> list:
    """Returns what `norms`, `largest` and `count_exponents` take.

    Args:
        tensors: Tensors of any float type.
        minus: Tensors to subtract from them, in their type. Defaults to `None`.
    """
    if minus is None:
        return tensors
    return list(map(_Difference, tensors, minus))


def norms(tensors: list):
    """Returns the norm of every tensor."""
    return jnp.sqrt(_by_size(_square_sums, tensors))


def largest(tensors: list):
    """Returns the largest magnitude of every tensor."""
    return _by_size(lambda rows: jnp.max(jnp.abs(rows), axis=1), tensors)


def count_exponents(tensors: list):
    """Returns for every tensor how many entries have each sign and exponent."""
    return _by_size(_count_exponents, tensors)


def _by_size(measure, tensors: list):
    """Measures all small tensors of one size at once, since each call is compiled.

    Args:
        measure: Function of a matrix, which returns a figure for every row.
        tensors: Tensors, or differences of them.
    """
    groups = {}
    for place, tensor in enumerate(tensors):
        alone = None if tensor.size <= SMALL else place
        groups.setdefault((tensor.dtype, tensor.size, alone), []).append(place)
    figures = [
        measure(_rows([tensors[place] for place in places]).astype("float32"))
        for places in groups.values()
    ]
    order = np.argsort(np.concatenate(list(groups.values())))
    return jnp.concatenate(figures)[order]


def _rows(tensors: list):
    if isinstance(tensors[0], _Difference):
        new, old = zip(*tensors, strict=True)
        return _rows(new) - _rows(old)
    return jnp.stack([tensor.ravel() for tensor in tensors])


def _square_sums(rows):
    if len(rows) == 1:  # of any length: a dot product is precise
        return jnp.vdot(rows[0], rows[0], precision="highest")[None]
    return jnp.sum(rows * rows, axis=1)


def _count_exponents(rows):
    exponents = jax.lax.bitcast_convert_type(rows, jnp.uint32) >> 23
    places = jnp.arange(len(rows), dtype="int32")[:, None] * NUM_BINS
    places = (places + exponents.astype("int32")).ravel()
    counts = jnp.zeros(len(rows) * NUM_BINS, "int32")
    counts = counts.at[places].add(1, mode="promise_in_bounds")  # which is faster
    return counts.reshape(len(rows), NUM_BINS)
