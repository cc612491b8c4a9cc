"""JAX implementation of `zoo.backend.train_step`.

With JAX, the training step receives and returns its state explicitly.
"""

import itertools

import jax
import jax.numpy as jnp
import keras
import numpy as np

from ..keras_internals import patched, patched_state_shardings, trained_variables
from .examples import CannotSample, head, to_array, unsupported
from .step_counters import StepCounters
from .variables import make_variable

FEW = 2**16  # maximum number of weights for which `has_free_condition` is true


def make_function(step, recorder, args: tuple):
    # The variables of the callbacks and the recorder are passed through the compiled
    # step as a fifth element of Keras' state. Their new values are assigned after the
    # step, without waiting until the values have been computed.
    model = step.model
    own_step = model.train_step
    state, _ = args
    # Read the shardings from the arguments, because Keras has emptied the variables.
    own_shardings = jax.tree.map(lambda value: value.sharding, state)
    shardings = (*own_shardings, None)  # no constraint on the fifth element

    def variables():
        recorded = [] if recorder is None else recorder.step_variables()
        return [*step.callback_variables(), *recorded]

    def train_step(state, data):
        *state, values = state
        _, _, optimizer_values, _ = state
        mapping = [
            *zip(variables(), values, strict=True),
            *zip(model.optimizer.variables, optimizer_values, strict=True),
        ]
        with keras.StatelessScope(state_mapping=mapping) as scope:
            step.begin_step()
            if recorder is not None:
                counters = StepCounters(*recorder.counters.value)
                counters = recorder.begin_step(counters)
                recorder.counters.assign(jnp.stack(counters))
        attributes = _recorded(recorder, model.optimizer, scope)
        with patched(model.optimizer, **attributes):
            logs, state = own_step(tuple(state), data)
        values = [scope.get_current_value(variable) for variable in variables()]
        return logs, (*state, values)

    with (
        patched(model, train_step=train_step),
        patched_state_shardings(model, shardings),
    ):
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
    return bool(model.jit_compile) and not model.run_eagerly


def has_free_condition(model) -> bool:
    # To record an update, XLA keeps two copies of the weights. If there are few
    # weights, this costs less than a second compilation.
    return model.count_params() <= FEW


def check_supported() -> None:
    if keras.config.is_nnx_enabled():
        raise RuntimeError(
            "Callbacks cannot take part in the training step in NNX mode, in which "
            "Keras compiles the `train_step` of the model's class.\nUnset the "
            "environment variable KERAS_NNX_ENABLED, or remove the callbacks that "
            "schedule a value or record updates."
        )


def when(predicate, function, values: list) -> list:
    # A loop with at most one iteration changes the values in place. A condition would
    # copy them.
    if not isinstance(predicate, jax.core.Tracer):  # for example, with `run_eagerly`
        return function(values) if predicate else values

    def body(carry):
        return jnp.zeros((), bool), function(carry[1])

    return jax.lax.while_loop(lambda carry: carry[0], body, (predicate, values))[1]


def make_counters(model):
    return make_variable(model, np.array(StepCounters(), "int32"), "int32")


def set_counters(counters, value: StepCounters) -> None:
    counters.assign(np.array(value, "int32"))


def set_step(counters, step: int) -> None:
    counters.assign(_before_step(counters.value, np.int32(step)))


def read_counters(counters) -> StepCounters:
    return StepCounters(*np.asarray(counters.value).tolist())


def take_batch(model, args: tuple) -> tuple:
    state, iterator = args
    batches = list(itertools.islice(iterator, 1))
    args = state, itertools.chain(batches, iterator)
    return args, batches[0] if batches else None


def first_examples(tensor, size: int):
    if tensor is None:
        return None
    if not isinstance(tensor, jax.Array | np.ndarray):
        raise unsupported(tensor)
    if isinstance(tensor, jax.Array) and not tensor.is_fully_addressable:
        raise CannotSample("It is distributed over several processes.")
    return to_array(head(tensor, size))


@jax.jit
def _before_step(counters, step):
    return jnp.stack(StepCounters.before(step, counters[2]))


def _recorded(recorder, optimizer, scope) -> dict:
    """Returns the attributes to patch so that an optimizer also records updates.

    The result is a dict with a new `stateless_apply`, or an empty dict if there is no
    recorder.
    """
    if recorder is None:
        return {}
    own = optimizer.stateless_apply

    def stateless_apply(optimizer_values, gradients, old):
        new, state = own(optimizer_values, gradients, old)
        recorder.count_update()
        values = map(scope.get_current_value, recorder.step_variables())
        counters, *buffers = values
        counters = StepCounters(*counters)
        mapping = list(zip(optimizer.variables, optimizer_values, strict=True))
        with keras.StatelessScope(mapping):
            variables = trained_variables(optimizer)
            call = recorder.observe(optimizer, gradients, variables, counters)

        def record(buffers):
            with keras.StatelessScope(mapping):
                before = call.before()
            changes = call.select(old), call.select(new)
            return call.record(before, *changes, buffers, counters)

        is_due = call.is_due
        if is_due is True:
            # A traced predicate makes `when` use a loop. The loop keeps XLA from fusing
            # the statistics with the update, which would make sums of squares many
            # times slower.
            is_due = counters.step >= 0
        counters_after = jnp.stack(call.next_counters(counters))
        values = [counters_after, *when(is_due, record, buffers)]
        for update in zip(recorder.step_variables(), values, strict=True):
            scope.add_update(update)
        return new, state

    return {"stateless_apply": stateless_apply}
