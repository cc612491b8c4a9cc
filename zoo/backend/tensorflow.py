"""TensorFlow implementation of `zoo.backend`."""

import contextlib
import functools

import keras
import numpy as np
import tensorflow as tf

CAN_BEGIN_AT_END = True
COMPILES = True
LOSSES_FIND_LOGITS = True


def accelerators():
    return [
        f"GPU {tf.config.experimental.get_device_details(gpu).get('device_name', '')}"
        for gpu in tf.config.list_physical_devices("GPU")
    ]


def compile_stateless(function, variables):
    # TensorFlow recognizes functions by their code, and warns if one is traced often. A
    # `def` here would make all functions that are compiled one function.
    return tf.function(functools.partial(_call_stateless, function))


def _call_stateless(function, *arguments):
    return function(None, arguments)


def differentiate(function, inputs):
    with tf.GradientTape() as tape:
        tape.watch(inputs)
        values, auxiliary = function(inputs)
    gradients = tape.gradient(values, inputs, unconnected_gradients="zero")
    gradients = [tf.convert_to_tensor(gradient) for gradient in gradients]
    return values, gradients, auxiliary


def enable_float64():
    return contextlib.nullcontext()


def generator_state():
    return None


def gradient_registry():
    from .framework_internals import tensorflow_gradient_registry

    return tensorflow_gradient_registry()


def local_copies(model, variable):
    strategy = model.distribute_strategy
    if strategy.num_replicas_in_sync == 1:
        return [variable]
    return list(strategy.experimental_local_results(variable.value))


def preserve_generator():
    return contextlib.nullcontext()


def same_trace():
    graph = tf.compat.v1.get_default_graph()
    return lambda tensor: tf.compat.v1.get_default_graph() is graph


def set_generator_state(state):
    return


def shared_array(variable):
    is_of_keras = isinstance(variable, keras.Variable)  # copies on replicas are not
    tensor = tf.convert_to_tensor(variable.value if is_of_keras else variable)
    try:
        return np.asarray(memoryview(tensor))
    except ValueError:  # for example bfloat16, which no buffer contains
        return np.asarray(keras.ops.convert_to_numpy(variable))


def transform_batch(model, function, arguments):
    return (function(*arguments),)
