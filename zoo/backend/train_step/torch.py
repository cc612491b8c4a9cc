"""PyTorch implementation of `zoo.backend.train_step`."""

from types import SimpleNamespace

import numpy as np
import torch

from ..keras_internals import patched, trained_variables
from .examples import CannotSample, head, to_array, unsupported
from .step_counters import StepCounters


def make_function(step, recorder, args: tuple):
    model, own = step.model, step.own
    own_step = model.train_step

    def train_step(data):
        step.begin_step()
        if recorder is None:
            return own_step(data)
        recorder.counters.value = recorder.begin_step(recorder.counters.value)
        with patched(model.optimizer, apply=_recorded(recorder, model.optimizer)):
            return own_step(data)

    def train_function(data):
        # Keras looks up `train_step` at every call, not when it creates the function.
        with patched(model, train_step=train_step):
            return own(data)

    return train_function


def is_compiled(model) -> bool:
    return False


def has_free_condition(model) -> bool:
    return True


def check_supported() -> None:
    return


def when(predicate, function, values: list) -> list:
    return function(values) if predicate else values


def make_counters(model):
    # Use plain integers, because reading a tensor would have to wait for the device.
    return SimpleNamespace(value=StepCounters())


def set_counters(counters, value: StepCounters) -> None:
    counters.value = value


def set_step(counters, step: int) -> None:
    counters.value = StepCounters.before(step, counters.value.row)


def read_counters(counters) -> StepCounters:
    return counters.value


def take_batch(model, args: tuple) -> tuple:
    (batches,) = args
    return args, batches[0] if batches else None


def first_examples(tensor, size: int):
    if tensor is None:
        return None
    if not isinstance(tensor, torch.Tensor | np.ndarray):
        raise unsupported(tensor)
    if isinstance(tensor, torch.Tensor) and (
        tensor.layout is not torch.strided or tensor.is_nested
    ):
        raise CannotSample("It contains a sparse or nested tensor.")
    return to_array(head(tensor, size))


def _recorded(recorder, optimizer):
    """Returns a version of the optimizer's `apply` that also records updates."""
    own = optimizer.apply

    def apply(gradients, trainable_variables=None):
        variables = list(trainable_variables or trained_variables(optimizer))
        recorder.count_update()
        if not optimizer.built:
            optimizer.build(variables)
        recorder.build(variables)
        counters = recorder.counters.value
        if not recorder.may_record(counters):
            own(gradients, variables)
            recorder.counters.value = counters._replace(has_updated=1)
            return
        call = recorder.observe(optimizer, list(gradients), variables, counters)
        if not call.is_due:
            own(gradients, variables)
        else:
            before = call.before()
            old = [variable.value.clone() for variable in call.select(variables)]
            own(gradients, variables)
            new = [variable.value for variable in call.select(variables)]
            buffers = [buffer.value for buffer in recorder.buffers]
            buffers = call.record(before, old, new, buffers, counters)
            for buffer, value in zip(recorder.buffers, buffers, strict=True):
                buffer.assign(value)
        numbers = map(int, call.next_counters(counters))
        recorder.counters.value = StepCounters(*numbers)

    return apply
