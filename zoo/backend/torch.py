"""PyTorch implementation of `zoo.backend`."""

import contextlib

import keras
import numpy as np
import torch

CAN_BEGIN_AT_END = True
COMPILES = False
LOSSES_FIND_LOGITS = False


def accelerators():
    device = keras.ops.zeros(()).device  # the device on which Keras runs
    if device.type == "cuda":
        return [f"GPU {torch.cuda.get_device_name(device)}"]
    return [] if device.type == "cpu" else [device.type.upper()]


def compile_stateless(function, variables):
    def call(*arguments):  # uncompiled
        with torch.no_grad():
            return function(None, arguments)

    return call


def differentiate(function, inputs):
    inputs = [
        tensor if tensor.requires_grad else tensor.detach().requires_grad_()
        for tensor in inputs
    ]
    with torch.enable_grad():  # an attack may run under `no_grad`
        values, auxiliary = function(inputs)
        total = values.sum()
    auxiliary = None if auxiliary is None else auxiliary.detach()
    if not total.requires_grad:
        return values, [torch.zeros_like(tensor) for tensor in inputs], auxiliary
    gradients = torch.autograd.grad(
        total, inputs, allow_unused=True, materialize_grads=True
    )
    return values.detach(), gradients, auxiliary


def enable_float64():
    return contextlib.nullcontext()


def generator_state():
    generators = [torch.get_rng_state()]
    if torch.cuda.is_available():
        generators += torch.cuda.get_rng_state_all()
    return [state.numpy().copy() for state in generators]


def gradient_registry():
    return {}


def local_copies(model, variable):
    return [variable]


def preserve_generator():
    # Dropout layers without a seed draw from this generator.
    gpus = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    return torch.random.fork_rng(gpus)


def same_trace():
    def has_storage(tensor):
        try:
            tensor.data_ptr()
        except RuntimeError:  # for example, under `torch.vmap`
            return False
        return True

    return has_storage


def set_generator_state(state):
    cpu, *gpus = (torch.from_numpy(one.copy()) for one in state)
    torch.set_rng_state(cpu)
    if gpus and torch.cuda.is_available():
        torch.cuda.set_rng_state_all(gpus)


def shared_array(variable):
    try:
        return variable.value.detach().cpu().numpy()
    except TypeError:  # for example bfloat16, which PyTorch does not convert
        return np.asarray(keras.ops.convert_to_numpy(variable))


def transform_batch(model, function, arguments):
    with torch.no_grad():
        return (function(*arguments),)
