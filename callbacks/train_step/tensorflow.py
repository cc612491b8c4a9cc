"""The training step on TensorFlow."""

import contextlib
import threading

import numpy as np
import tensorflow as tf

from .common import begin_clock, begin_step, choose, make_variable, patched
from .compiled_state import trainable_as_compiled
from .look import Look
from .sample import NUM_BINS


def make_function(model, own, callbacks: list, recorder, args: tuple):
    """Creates a train function that includes the callbacks.

    Args:
        model: Compiled model.
        own: The model's own train function.
        callbacks: List of callbacks.
        recorder: `Recorder` of the steps, or `None`.
        args: Arguments of the first call.
    """
    own_step = model.train_step
    clocks = threading.local()  # replicas are traced in threads

    def train_step(data):
        # When data of unknown length ends, TensorFlow once more runs all operations
        # that do not depend on the data. Keras' own part must keep this behavior, but
        # the callbacks must not advance.
        tensors = tf.nest.flatten(data, expand_composites=True)
        has_data = [tensor for tensor in tensors if tf.is_tensor(tensor)]
        with tf.control_dependencies(has_data):
            begin_step(model, callbacks)
        if recorder is None:
            return own_step(data)
        recorder.updates = 0
        clocks.always = begin_clock(tf.unstack(recorder.clock.value))
        with tf.control_dependencies(has_data):
            clock = tf.identity(recorder.clock.value)
        clocks.of_data = begin_clock(tf.unstack(clock))
        logs = own_step(data)
        recorder.clock.assign(tf.stack(clocks.of_data))
        return logs

    with patched(model, train_step=train_step):
        model.make_train_function(force=True)
    function = model.train_function
    as_compiled = trainable_as_compiled(model, own)

    def train_function(iterator):
        nonlocal as_compiled
        with contextlib.ExitStack() as stack:
            stack.enter_context(as_compiled)
            as_compiled = contextlib.nullcontext()  # the first call traces
            if recorder is not None:
                if model.built:  # replicas cannot create variables
                    recorder.build()
                apply = _observed(recorder, model.optimizer, clocks)
                stack.enter_context(patched(model.optimizer, apply=apply))
            return function(iterator)

    return train_function


def is_compiled(model) -> bool:
    """Returns whether the first call of the train function traces the whole step."""
    return not model.run_eagerly


def has_free_condition(model) -> bool:
    """Returns whether a condition inside the step is free."""
    # Mirrored variables cannot be assigned in a condition, and XLA copies variables.
    is_mirrored = model.distribute_strategy.num_replicas_in_sync > 1
    return not (is_mirrored or model.jit_compile)


def _observed(recorder, optimizer, clocks):
    """Returns the optimizer's `apply` with recording added."""
    own = optimizer.apply

    def apply(gradients, trainable_variables=None):
        variables = list(trainable_variables or optimizer._trainable_variables)
        gradients = list(gradients)
        if not optimizer.built:
            optimizer.build(variables)
        with tf.init_scope():
            recorder.build(variables)
        recorder.count_update()
        # Mirrored variables cannot be assigned in a condition.
        is_mirrored = tf.distribute.has_strategy()
        whole = _all_reduced(gradients) if is_mirrored else gradients
        clock = clocks.of_data
        look = Look(recorder, optimizer, whole, variables, clocks.always)
        records = [tf.identity(record.value) for record in recorder.records]

        def measured():
            before = look.before()
            old = _values(look.known(variables))
            own(gradients, variables)
            return before, old, _values(look.known(variables))

        def record():
            _assign(recorder.records, look.record(*measured(), records, clock))

        if is_mirrored:
            seen = measured()
            rows = choose(
                look.is_due,
                lambda: look.record(*seen, records, clock),
                lambda: records,
            )
            _assign(recorder.records, rows)
        else:  # The optimizer runs in both branches, so other steps cost nothing extra.
            choose(look.is_due, record, lambda: own(gradients, variables))
        clocks.of_data = look.next_clock(clock)
        clocks.always = look.next_clock(clocks.always)

    return apply


def _all_reduced(gradients):
    """Sums the gradients over all replicas, as the optimizer does."""
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
    """Creates the clock variable."""
    return make_variable(model, np.zeros(4, "int32"), "int32")


def set_clock(clock, numbers: list) -> None:
    """Sets the numbers of a clock."""
    clock.assign(np.array(numbers, "int32"))


def set_step(clock, step: int) -> None:
    """Sets the number of the next step."""
    clock.assign(tf.stack([step - 1, step, clock[2], 0]))


def numbers(clock) -> list:
    """Returns the numbers of a clock."""
    return clock.numpy().tolist()


def dense(gradient):
    """Converts a gradient to a dense tensor. That of an embedding may be sparse."""
    return tf.convert_to_tensor(gradient)


def operands(tensors: list, minus: list | None = None) -> list:
    """Prepares tensors for `norms`, `largest` and `count_exponents`.

    Args:
        tensors: List of tensors of any float dtype.
        minus: List of tensors to subtract from `tensors`, in their dtype. Defaults to
            `None`.
    """
    if minus is not None:
        tensors = [a - b for a, b in zip(tensors, minus, strict=True)]
    return [tf.cast(tensor, tf.float32) for tensor in tensors]


def when(predicate, function, values: list) -> list:
    """Returns `function(values)` if the predicate is true, otherwise `values`."""
    return choose(predicate, lambda: function(values), lambda: values)


def norms(tensors: list):
    """Returns the L2 norm of every tensor."""
    return tf.sqrt(2 * tf.stack([tf.nn.l2_loss(tensor) for tensor in tensors]))


def largest(tensors: list):
    """Returns the largest magnitude of every tensor."""
    return tf.stack([tf.reduce_max(tf.abs(tensor)) for tensor in tensors])


def count_exponents(tensors: list):
    """Counts the entries of every tensor by sign and exponent."""
    return tf.stack([_count_exponents(tensor) for tensor in tensors])


def _count_exponents(tensor):
    bits = tf.bitcast(tf.reshape(tensor, [-1]), tf.uint32)
    exponents = tf.bitwise.right_shift(bits, tf.constant(23, tf.uint32))
    return tf.raw_ops.DenseBincount(
        input=tf.bitcast(exponents, tf.int32),
        size=NUM_BINS,
        weights=tf.constant([], tf.int32),
    )
