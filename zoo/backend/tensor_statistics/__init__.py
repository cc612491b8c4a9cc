"""Computes norms, maximum magnitudes and exponent counts of many tensors at once.

The modules `tensorflow`, `jax` and `torch` implement the same functions. This package
exports the functions of the active backend. The functions can be called inside compiled
functions.

- `densify(gradient)`: Converts a gradient to a dense tensor. On TensorFlow, the
  gradient of an embedding may be sparse.
- `operands(tensors, minus=None)`: Prepares a list of tensors of any float dtype for the
  functions below, which compute in float32. `minus` is an optional list of tensors to
  subtract, with the same dtypes; if it is given, the functions compute statistics of
  the differences.
- `norms(operands)`: Returns the L2 norms of all tensors, as a tensor of shape
  `(tensors,)`.
- `largest(operands)`: Returns the largest magnitude in each tensor, as a tensor of
  shape `(tensors,)`.
- `count_exponents(operands)`: Counts the entries of each tensor by sign and exponent.
  Returns an int32 tensor of shape `(tensors, NUM_BINS)`.

`count_exponents` determines the bin of an entry from the upper 9 bits of its float32
representation, which are the sign and the exponent. The first `NUM_EXPONENTS` bins
count positive numbers, and the other bins count negative numbers. Exponent 0 means zero
or a magnitude below 2**-126, and 255 means infinity or NaN. All other exponents equal
floor(log2(magnitude)) plus `BIAS`.
"""

import importlib

import keras

from .exponents import BIAS, NUM_BINS, NUM_EXPONENTS

_module = importlib.import_module(f".{keras.backend.backend()}", package=__package__)

count_exponents = _module.count_exponents
densify = _module.densify
largest = _module.largest
norms = _module.norms
operands = _module.operands

__all__ = [
    "BIAS",
    "NUM_BINS",
    "NUM_EXPONENTS",
    "count_exponents",
    "densify",
    "largest",
    "norms",
    "operands",
]
