"""PyTorch implementation of `zoo.backend.tensor_statistics`."""

import torch

from ..framework_internals import torch_norms
from .exponents import NUM_BINS


def densify(gradient):
    return gradient


def operands(tensors: list, minus: list | None = None) -> list:
    if minus is not None:
        tensors = [a - b for a, b in zip(tensors, minus, strict=True)]
    return [tensor.float() for tensor in tensors]


def norms(operands: list):
    return torch.stack(torch_norms(operands, order=2))


def largest(operands: list):
    return torch.stack(torch_norms(operands, order=float("inf")))


def count_exponents(operands: list):
    return torch.stack([_count_exponents(tensor) for tensor in operands])


def _count_exponents(tensor):
    # The shift extends the sign bit. The mask keeps 9 bits: the sign and the exponent.
    bits = (tensor.reshape(-1).view(torch.int32) >> 23).bitwise_and_(NUM_BINS - 1)
    return torch.bincount(bits, minlength=NUM_BINS).to(torch.int32)
