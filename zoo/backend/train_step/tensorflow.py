"""TensorFlow implementation of `zoo.backend.train_step`."""

import contextlib
import threading

import keras
import numpy as np
import tensorflow as tf

from ..keras_internals import patched, trained_variables
from .examples import head, to_array, unsupported
from .step_counters import StepCounters
from .tensorflow_batches import take_next
from .tensorflow_trainable import trainable_as_traced
from .variables import make_variable


def make_function(step, recorder, args: tuple):
    model = step.model
    own_step = model.train_step
    counters = threading.local()  # each replica is traced in its own thread

    def train_step(data):
        # At the end of a dataset of unknown length, TensorFlow once more runs all
        # operations that do not depend on the data. Keras' own part of the step must
        # keep this behavior, but the callbacks must not advance.
        tensors = tf.nest.flatten(data, expand_composites=True)
        has_data = [tensor for tensor in tensors if tf.is_tensor(tensor)]
        with tf.control_dependencies(has_data):
            step.begin_step()
        if recorder is None:
            return own_step(data)
        counters.always = recorder.begin_step(_unstacked(recorder.counters.value))
        with tf.control_dependencies(has_data):
            value = tf.identity(recorder.counters.value)
        counters.of_data = recorder.begin_step(_unstacked(value))
        logs = own_step(data)
        recorder.counters.assign(tf.stack(counters.of_data))
        return logs

    with patched(model, train_step=train_step):
        model.make_train_function(force=True)
    function = model.train_function
    as_traced = trainable_as_traced(model, step.own)

    def train_function(iterator):
        nonlocal as_traced
        with contextlib.ExitStack() as stack:
            stack.enter_context(as_traced)
            as_traced = contextlib.nullcontext()  # later calls do not trace
            if recorder is not None:
                if model.built:  # replicas cannot create variables
                    recorder.build()
                apply = _recorded(recorder, model.optimizer, counters)
                stack.enter_context(patched(model.optimizer, apply=apply))
            return function(iterator)

    return train_function


def is_compiled(model) -> bool:
    return not model.run_eagerly


def has_free_condition(model) -> bool:
    # Mirrored variables cannot be assigned in a condition, and XLA would copy all
    # variables.
    is_mirrored = model.distribute_strategy.num_replicas_in_sync > 1
    return not (is_mirrored or model.jit_compile)


def check_supported() -> None:
    return


def when(predicate, function, values: list) -> list:
    return _choose(predicate, lambda: function(values), lambda: values)


def make_counters(model):
    return make_variable(model, np.array(StepCounters(), "int32"), "int32")


def set_counters(counters, value: StepCounters) -> None:
    counters.assign(np.array(value, "int32"))


def set_step(counters, step: int) -> None:
    counters.assign(tf.stack(StepCounters.before(step, counters[2])))


def read_counters(counters) -> StepCounters:
    return StepCounters(*counters.numpy().tolist())


def take_batch(model, args: tuple) -> tuple:
    # The train function reads the data inside the compiled code. To leave this code
    # unchanged, it is given an iterator of batches that have already been read.
    (iterator,) = args
    iterator, batches = take_next(
        iterator, model.distribute_strategy, model.steps_per_execution
    )
    return (iterator,), batches[0] if batches else None


def first_examples(tensor, size: int):
    if tensor is None or isinstance(tensor, tf.experimental.Optional):
        return None  # Keras replaces an `Optional` with `None`
    if isinstance(tensor, tf.RaggedTensor):
        return _ragged_array(head(tensor, size))
    if not (isinstance(tensor, tf.Tensor) and tensor.dtype.is_numpy_compatible):
        raise unsupported(tensor)
    return to_array(head(tensor, size))


def _ragged_array(tensor) -> np.ndarray:
    """Converts a ragged tensor to an array of its rows."""
    values = tensor.values
    is_ragged = isinstance(values, tf.RaggedTensor)
    values = _ragged_array(values) if is_ragged else to_array(values)
    ends = tensor.row_splits.numpy()
    rows = np.empty(len(ends) - 1, object)
    for row in range(len(rows)):
        rows[row] = values[ends[row] : ends[row + 1]]
    return rows


def _recorded(recorder, optimizer, counters):
    """Returns a version of the optimizer's `apply` that also records updates.

    Args:
        recorder: Recorder as described in `zoo.backend.train_step`.
        optimizer: Optimizer of the model.
        counters: Object that contains the `StepCounters` of the current step in two
            attributes: `of_data`, which depends on the data of the step, and `always`,
            which does not.
    """
    own = optimizer.apply

    def apply(gradients, trainable_variables=None):
        variables = list(trainable_variables or trained_variables(optimizer))
        gradients = list(gradients)
        if not optimizer.built:
            optimizer.build(variables)
        with tf.init_scope():
            recorder.build(variables)
        recorder.count_update()
        # Mirrored variables cannot be assigned in a condition.
        is_mirrored = tf.distribute.has_strategy()
        whole = _all_reduced(gradients) if is_mirrored else gradients
        of_data = counters.of_data
        call = recorder.observe(optimizer, whole, variables, counters.always)
        buffers = _values(recorder.buffers)

        def update():
            before = call.before()
            old = _values(call.select(variables))
            own(gradients, variables)
            return before, old, _values(call.select(variables))

        def update_and_record():
            _assign(recorder.buffers, call.record(*update(), buffers, of_data))

        if is_mirrored:
            observed = update()
            recorded = _choose(
                call.is_due,
                lambda: call.record(*observed, buffers, of_data),
                lambda: buffers,
            )
            _assign(recorder.buffers, recorded)
        else:  # The optimizer runs in both branches, so skipping a record is free.
            _choose(call.is_due, update_and_record, lambda: own(gradients, variables))
        counters.of_data = call.next_counters(of_data)
        counters.always = call.next_counters(counters.always)

    return apply


def _choose(predicate, true_function, false_function):
    """Calls one of two functions, depending on a predicate (a bool or a tensor)."""
    if isinstance(predicate, bool):
        return true_function() if predicate else false_function()
    return keras.ops.cond(predicate, true_function, false_function)


def _all_reduced(gradients):
    """Sums the gradients over all replicas, as the optimizer does."""
    context = tf.distribute.get_replica_context()
    present = [gradient for gradient in gradients if gradient is not None]
    reduced = iter(context.all_reduce(tf.distribute.ReduceOp.SUM, present))
    return [None if gradient is None else next(reduced) for gradient in gradients]


def _unstacked(counters) -> StepCounters:
    return StepCounters(*tf.unstack(counters))


def _values(variables):
    return [tf.identity(variable.value) for variable in variables]


def _assign(variables, values):
    for variable, value in zip(variables, values, strict=True):
        variable.assign(value)
