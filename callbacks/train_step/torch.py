"""The training step on PyTorch."""

import torch

from .common import begin_clock, begin_step, choose, patched
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

    def train_step(data):
        begin_step(model, callbacks)
        if recorder is None:
            return own_step(data)
        recorder.updates = 0
        recorder.clock[:] = begin_clock(recorder.clock)
        with patched(model.optimizer, apply=_observed(recorder, model.optimizer)):
            return own_step(data)

    def train_function(data):
        # Keras looks up `train_step` at every call, not when it creates the function.
        with patched(model, train_step=train_step):
            return own(data)

    return train_function


def is_compiled(model) -> bool:
    """Returns whether the first call of the train function traces the whole step."""
    return False


def has_free_condition(model) -> bool:
    """Returns whether a condition inside the step is free."""
    return True


def _observed(recorder, optimizer):
    """Returns the optimizer's `apply` with recording added."""
    own = optimizer.apply

    def apply(gradients, trainable_variables=None):
        variables = list(trainable_variables or optimizer._trainable_variables)
        recorder.count_update()
        if not optimizer.built:
            optimizer.build(variables)
        recorder.build(variables)
        # The clock consists of plain integers: reading a tensor would synchronize.
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
    """Creates the clock, a list of integers."""
    return [0, 0, 0, 0]


def set_clock(clock, numbers: list) -> None:
    """Sets the numbers of a clock."""
    clock[:] = numbers


def set_step(clock, step: int) -> None:
    """Sets the number of the next step."""
    clock[:] = [step - 1, step, clock[2], 0]


def numbers(clock) -> list:
    """Returns the numbers of a clock."""
    return list(clock)


def dense(gradient):
    """Returns a gradient unchanged, since it is a dense tensor."""
    return gradient


def operands(tensors: list, minus: list | None = None) -> list:
    """Prepares tensors for `norms`, `largest` and `count_exponents`.

    Args:
        tensors: List of tensors of any float dtype.
        minus: List of tensors to subtract from `tensors`, in their dtype. Defaults to
            `None`.
    """
    if minus is not None:
        tensors = [a - b for a, b in zip(tensors, minus, strict=True)]
    return [tensor.float() for tensor in tensors]


def when(predicate, function, values: list) -> list:
    """Returns `function(values)` if the predicate is true, otherwise `values`."""
    return choose(predicate, lambda: function(values), lambda: values)


def norms(tensors: list):
    """Returns the L2 norm of every tensor."""
    return torch.stack(torch._foreach_norm(tensors))


def largest(tensors: list):
    """Returns the largest magnitude of every tensor."""
    return torch.stack(torch._foreach_norm(tensors, ord=float("inf")))


def count_exponents(tensors: list):
    """Counts the entries of every tensor by sign and exponent."""
    return torch.stack([_count_exponents(tensor) for tensor in tensors])


def _count_exponents(tensor):
    # The shift extends the sign bit. The mask keeps 9 bits: the sign and the exponent.
    bits = (tensor.reshape(-1).view(torch.int32) >> 23).bitwise_and_(NUM_BINS - 1)
    return torch.bincount(bits, minlength=NUM_BINS).to(torch.int32)
