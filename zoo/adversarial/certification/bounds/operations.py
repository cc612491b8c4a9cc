"""The operations of a `Network`, which act on flat vectors."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """One operation of a network, which maps flat vectors to a flat vector.

    Args:
        inputs: Indices of its inputs in the list of operations.
        size: Length of its output for one example.
        dtype: Dtype in which the layer computes: "float32" or "float64".
        read: Function that maps a dtype to a tuple of tensors: the current values of
            the parameters of the operation. Defaults to a function that returns `()`.
    """

    inputs: tuple[int, ...]
    size: int
    dtype: str
    read: Callable[[str], tuple] = lambda dtype: ()


class Source(Operation):
    """The input of the network."""


class Dense(Operation):
    """Computes `x @ kernel + bias`; the parameters are `(kernel, bias)`."""


class Scale(Operation):
    """Computes `x * scale + shift`; the parameters are `(scale, shift, shift_terms)`.

    If the shift is computed as a sum, `shift_terms` is the sum of the absolute values
    of its terms. Rounding errors are proportional to this sum.
    """


class Sum(Operation):
    """Adds its inputs."""


class Rectifier(Operation):
    """Computes `max(x, slope * x)`; the parameter is `(slope,)`, in [0, 1]."""


class Tanh(Operation):
    """Computes the hyperbolic tangent."""


class Probabilities(Operation):
    """A softmax, which is allowed only at the end, where it is removed."""


ACTIVATIONS = (Rectifier, Tanh)
