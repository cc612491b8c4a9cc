"""JAX implementation of `zoo.backend`."""

import contextlib

import jax
import jax.extend
import keras
import numpy as np

CAN_BEGIN_AT_END = False
COMPILES = True
LOSSES_FIND_LOGITS = False


def accelerators():
    return [
        f"{device.platform.upper()} {device.device_kind}"
        for device in jax.devices()
        if device.platform != "cpu"
    ]


def compile_stateless(function, variables):
    compiled = jax.jit(function)

    def call(*arguments):
        return compiled([variable.value for variable in variables], arguments)

    return call


def differentiate(function, inputs):
    values, backward, auxiliary = jax.vjp(function, inputs, has_aux=True)
    (gradients,) = backward(jax.numpy.ones_like(values))
    return values, gradients, auxiliary


def enable_float64():
    return jax.enable_x64(True)


def generator_state():
    return None


def gradient_registry():
    return {}


def local_copies(model, variable):
    return [variable]


def preserve_generator():
    return contextlib.nullcontext()


def same_trace():
    where = jax.extend.core
    if not hasattr(where, "get_opaque_trace_state"):  # in older versions of JAX
        where = jax.core
    state = where.get_opaque_trace_state()
    return lambda tensor: where.get_opaque_trace_state() == state


def set_generator_state(state):
    return


def shared_array(variable):
    return np.asarray(variable.value)


def transform_batch(model, function, arguments):
    state, batch = arguments  # the state contains the values of all variables
    groups = [model.trainable_variables, model.non_trainable_variables]
    if len(state) == 4:  # a training step
        groups.append(model.optimizer.variables)
    groups.append(model.metrics_variables)
    pairs = [
        pair
        for variables, values in zip(groups, state, strict=True)
        for pair in zip(variables, values, strict=True)
    ]
    with keras.StatelessScope(pairs) as scope:
        batch = function(batch)
    state = tuple([scope.get_current_value(v) for v in group] for group in groups)
    return state, batch
