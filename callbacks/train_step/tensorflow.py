"""The step on TensorFlow."""

import numpy as np
import tensorflow as tf

from .common import begin_step, choose, make_variable, patched
from .look import Look
from .sample import NUM_BINS


def make_function(model, callbacks: list, observation):
    """Returns a train function of the model in which callbacks take part.

    Args:
        model: Compiled model.
        callbacks: List of callbacks, which may be filled until the first call.
        observation: `Observation` of the steps, which may be asked for until then, or
            `None`.
    """
    own_step = model.train_step

    def train_step(data):
        begin_step(model, callbacks)
        return own_step(data)

    with patched(model, train_step=train_step):
        model.make_train_function(force=True)
    function = model.train_function

    def train_function(iterator):
        if observation is None:
            return function(iterator)
        if model.built:  # replicas cannot make variables
            observation.step_variables()
        apply = _observed(observation, model.optimizer)
        with patched(model.optimizer, apply=apply):
            return function(iterator)

    return train_function


def _observed(observation, optimizer):
    """Returns the optimizer's `apply`, observed."""
    own = optimizer.apply

    def apply(gradients, trainable_variables=None):
        variables = list(trainable_variables or optimizer._trainable_variables)
        gradients = list(gradients)
        if not optimizer.built:
            optimizer.build(variables)
        with tf.init_scope():
            observation.build(variables)
        # Mirrored variables cannot be assigned under a condition.
        is_mirrored = tf.distribute.has_strategy()
        whole = _all_reduced(gradients) if is_mirrored else gradients
        clock = tf.unstack(tf.identity(observation.clock.value))
        records = [tf.identity(record.value) for record in observation.records]
        look = Look(observation, optimizer, whole, variables, clock, records)

        def measured():
            before = look.before()
            old = _values(look.known(variables))
            own(gradients, variables)
            return before, old, _values(look.known(variables))

        def record():
            _assign(observation.records, look.record(*measured()))

        if is_mirrored:
            seen = measured()
            records = choose(look.is_due, lambda: look.record(*seen), lambda: records)
            _assign(observation.records, records)
        else:  # The optimizer in both branches: what is not seen costs nothing.
            choose(look.is_due, record, lambda: own(gradients, variables))
        observation.clock.assign(tf.stack(look.next_clock()))

    return apply


def _all_reduced(gradients):
    """Gradients, summed over all replicas, as the optimizer sums them."""
    context = tf.distribute.get_replica_context()
    present = [gradient for gradient in gradients if gradient is not None]
    reduced = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if gradient is None else next(reduced) for gradient in gradients]


def _values(variables):
    return [tf.identity(variable.value) for variable in variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)


def make_clock(model):
    """Returns a variable that counts steps, updates and rows."""
    return make_variable(model, np.zeros(3, "int32"), "int32")


def set_clock(clock, numbers: list) -> None:
    """Makes a clock say these numbers."""
    clock.assign(np.array(numbers, "int32"))


def dense(gradient):
    """Returns a gradient as a tensor; that of an embedding has rows alone."""
    return tf.convert_to_tensor(gradient)


def norms(tensors: list):
    """Returns the norm of every tensor."""
    return tf.sqrt(2 * tf.stack([tf.nn.l2_loss(tensor) for tensor in tensors]))


def largest(tensors: list):
    """Returns the largest magnitude of every tensor."""
    return tf.stack([tf.reduce_max(tf.abs(tensor)) for tensor in tensors])


def count_exponents(tensors: list):
    """Returns for every tensor how many entries have each sign and exponent."""
    return tf.stack([_count_exponents(tensor) for tensor in tensors])


def _count_exponents(tensor):
    bits = tf.bitcast(tf.reshape(tensor, [-1]), tf.uint32)
    exponents = tf.bitwise.right_shift(bits, tf.constant(23, tf.uint32))
    return tf.raw_ops.DenseBincount(
        input=tf.bitcast(exponents, tf.int32),
        size=NUM_BINS,
        weights=tf.constant([], tf.int32),
    )
