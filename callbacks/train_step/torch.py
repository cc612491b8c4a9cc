"""The step on PyTorch."""

import torch

from .common import begin_clock, begin_step, choose, patched
from .look import Look
from .sample import NUM_BINS


def make_function(model, own, callbacks: list, recorder, args: tuple):
    """Returns a train function of the model in which callbacks take part.

    Args:
        model: Compiled model.
        own: The model's own train function.
        callbacks: List of callbacks.
        recorder: `Recorder` of the steps, or `None`.
        args: Arguments of the first call.
    """
    own_step = model.train_step

    def train_step(data):
        begin_step(model, callbacks)
        if recorder is None:
            return own_step(data)
        recorder.updates = 0
        recorder.clock[:] = begin_clock(recorder.clock)
        with patched(model.optimizer, apply=_observed(recorder, model.optimizer)):
            return own_step(data)

    def train_function(data):
        # Keras looks the step up at every call, not when it makes the function.
        with patched(model, train_step=train_step):
            return own(data)

    return train_function


def is_compiled(model) -> bool:
    """Whether the first call of the train function has traced all of the step."""
    return False


def has_free_condition(model) -> bool:
    """Whether a condition inside the step costs nothing."""
    return True


def _observed(recorder, optimizer):
    """Returns the optimizer's `apply`, observed."""
    own = optimizer.apply

    def apply(gradients, trainable_variables=None):
        variables = list(trainable_variables or optimizer._trainable_variables)
        recorder.count_update()
        if not optimizer.built:
            optimizer.build(variables)
        recorder.build(variables)
        # Plain integers: to read a tensor would wait for the device.
        clock = recorder.clock
        if not recorder.accumulates() and not recorder.is_due(clock[1]):
            own(gradients, variables)
            clock[3] = 1
            return
        look = Look(recorder, optimizer, list(gradients), variables, clock)
        if not look.is_due:
            own(gradients, variables)
        else:
            before = look.before()
            old = [variable.value.clone() for variable in look.known(variables)]
            own(gradients, variables)
            new = [variable.value for variable in look.known(variables)]
            records = [record.value for record in recorder.records]
            rows = look.record(before, old, new, records, clock)
            for variable, value in zip(recorder.records, rows, strict=True):
                variable.assign(value)
        clock[:] = [int(number) for number in look.next_clock(clock)]

    return apply


def make_clock(model):
    """Returns the numbers of the clock."""
    return [0, 0, 0, 0]


def set_clock(clock, numbers: list) -> None:
    """Makes a clock say these numbers."""
    clock[:] = numbers


def numbers(clock) -> list:
    """Returns what a clock says."""
    return list(clock)


def dense(gradient):
    """Returns a gradient as a tensor, which it is."""
    return gradient


def operands(tensors: list, minus: list | None = None) -> list:
    """Returns what `norms`, `largest` and `count_exponents` take.

    Args:
        tensors: Tensors of any float type.
        minus: Tensors to subtract from them, in their type. Defaults to `None`.
    """
    if minus is not None:
        tensors = [a - b for a, b in zip(tensors, minus, strict=True)]
    return [tensor.float() for tensor in tensors]


def when(predicate, function, values: list) -> list:
    """Returns `function(values)` if the predicate holds, and else the values."""
    return choose(predicate, lambda: function(values), lambda: values)


def norms(tensors: list):
    """Returns the norm of every tensor."""
    return torch.stack(torch._foreach_norm(tensors))


def largest(tensors: list):
    """Returns the largest magnitude of every tensor."""
    return torch.stack(torch._foreach_norm(tensors, ord=float("inf")))


def count_exponents(tensors: list):
    """Returns for every tensor how many entries have each sign and exponent."""
    return torch.stack([_count_exponents(tensor) for tensor in tensors])


def _count_exponents(tensor):
    # The shift keeps the sign, of which 9 bits are left with the exponent.
    bits = (tensor.reshape(-1).view(torch.int32) >> 23).bitwise_and_(NUM_BINS - 1)
    return torch.bincount(bits, minlength=NUM_BINS).to(torch.int32)
