"""The operations that bounds are known for; all of them act on flat vectors."""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Operation:
    """One step of a network, from flat vectors to a flat vector.

    Args:
        inputs: Places of its inputs in the list of operations.
        size: Length of its output, for one example.
        dtype: Dtype that the layer computes in, "float32" or "float64".
        read: Function of a dtype to the tensors that the operation depends on, as
            they are at the time of the call.
    """

    inputs: tuple[int, ...]
    size: int
    dtype: str
    read: Callable[[str], tuple] = lambda dtype: ()


class Source(Operation):
    """The inputs of the network."""


class Dense(Operation):
    """`x @ kernel + bias`; reads `(kernel, bias)`."""


class Scale(Operation):
    """`x * scale + shift`; reads `(scale, shift, size_of_shift)`.

    The last is the sum of the absolute values that the shift is a sum of: rounding
    errors are proportional to it.
    """


class Sum(Operation):
    """The sum of its inputs."""


class Rectifier(Operation):
    """`max(x, slope * x)`; reads `(slope,)`, which is in [0, 1]."""


class Tanh(Operation):
    """The hyperbolic tangent."""


class Probabilities(Operation):
    """A softmax, which may only come last, and is left out there."""


ACTIVATIONS = (Rectifier, Tanh)
