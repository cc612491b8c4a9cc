"""The step on PyTorch."""

import torch

from .common import begin_step, patched
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
        if observation is None:
            return own_step(data)
        apply = _observed(observation, model.optimizer)
        with patched(model.optimizer, apply=apply):
            return own_step(data)

    model.make_train_function(force=True)
    function = model.train_function

    def train_function(data):
        # Keras looks the step up at every call, not when it makes the function.
        with patched(model, train_step=train_step):
            return function(data)

    return train_function


def _observed(observation, optimizer):
    """Returns the optimizer's `apply`, observed."""
    own = optimizer.apply

    def apply(gradients, trainable_variables=None):
        variables = list(trainable_variables or optimizer._trainable_variables)
        if not optimizer.built:
            optimizer.build(variables)
        observation.build(variables)
        clock, records = observation.clock, [r.value for r in observation.records]
        look = Look(observation, optimizer, gradients, variables, clock, records)
        if not look.is_due:
            own(gradients, variables)
        else:
            before = look.before()
            old = [variable.value.clone() for variable in look.known(variables)]
            own(gradients, variables)
            new = [variable.value for variable in look.known(variables)]
            records = look.record(before, old, new)
            for variable, value in zip(observation.records, records, strict=True):
                variable.assign(value)
        # Plain integers: to read a tensor would wait for the device.
        observation.clock = [int(number) for number in look.next_clock()]

    return apply


def make_clock(model):
    """Returns the numbers of steps, updates and rows."""
    return [0, 0, 0]


def set_clock(clock, numbers: list) -> None:
    """Makes a clock say these numbers."""
    clock[:] = numbers


def dense(gradient):
    """Returns a gradient as a tensor, which it is."""
    return gradient


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
    bits = (tensor.reshape(-1).view(torch.int32) >> 23) & (NUM_BINS - 1)
    return torch.bincount(bits, minlength=NUM_BINS).to(torch.int32)
