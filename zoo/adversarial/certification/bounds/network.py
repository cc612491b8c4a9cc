"""A classifier as a list of operations, for which bounds can be computed."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from keras import ops

from ....utils.arguments import invalid_argument
from . import operations

SUPPORTED = (
    "Supported are dense layers, relu, relu6, leaky_relu, PReLU, sigmoid, tanh, "
    "Maxout, Add, BatchNormalization, Normalization, Whitening, Rescaling, Flatten, "
    "Reshape, and layers that do nothing in inference mode, such as Dropout."
)


@dataclass(frozen=True)
class Network:
    """The operations that compute the logits of a classifier.

    Args:
        operations: Tuple of operations. Each comes after its inputs; the first is a
            `Source`, and the last computes the logits.
    """

    operations: tuple[operations.Operation, ...]

    @property
    def num_outputs(self) -> int:
        return self.operations[-1].size

    def read(self, dtype: str) -> list[tuple]:
        """Returns the current values of the parameters of all operations."""
        return [some.read(dtype) for some in self.operations]


class NetworkBuilder:
    """Collects the operations of a network.

    Every method that adds operations returns the index of the last one, which computes
    the result.

    Args:
        size: Number of features of an example.

    Attributes:
        operations: List of the operations.
        names: For each operation, the name of the layer that it belongs to.
        logits: For each operation that computes a softmax or a sigmoid, the index of
            the operation that computes its input.
        name: Name of the layer that new operations belong to.
        dtype: Dtype in which that layer computes.
    """

    def __init__(self, size: int):
        self.operations: list[operations.Operation] = [
            operations.Source((), size, "float32")
        ]
        self.names = ["input"]
        self.logits: dict[int, int] = {}
        self.name, self.dtype = "input", "float32"

    def add(
        self, kind, inputs: list[int], size: int | None = None, *read: Callable
    ) -> int:
        """Adds an operation.

        Args:
            kind: Subclass of `Operation`.
            inputs: Indices of its inputs.
            size: Length of its output. Defaults to `None`: that of its first input.
            *read: Optional function that reads its parameters; see `Operation`.
        """
        if size is None:
            size = self.size_of(inputs[0])
        self.operations.append(kind(tuple(inputs), size, self.dtype, *read))
        self.names.append(self.name)
        return len(self.operations) - 1

    def size_of(self, index: int) -> int:
        """Returns the length of the output of an operation."""
        return self.operations[index].size

    def rectifier(self, index: int, slope: float = 0.0) -> int:
        """Adds max(x, slope * x)."""
        if not 0 <= slope <= 1:
            raise self.unsupported(f"a negative slope of {slope}")
        slopes = np.full(self.size_of(index), float(slope))
        return self.add(
            operations.Rectifier,
            [index],
            None,
            lambda dtype: (ops.convert_to_tensor(slopes, dtype),),
        )

    def clipped(self, index: int, maximum: float) -> int:
        """Adds min(relu(x), maximum), as maximum - relu(maximum - relu(x)).

        The interval bounds of a chain of functions of one number are exact.
        """
        missing = self.scale(self.rectifier(index), -1.0, maximum)
        return self.scale(self.rectifier(missing), -1.0, maximum)

    def sigmoid(self, index: int) -> int:
        """Adds a sigmoid, as (1 + tanh(x / 2)) / 2."""
        tanh = self.add(operations.Tanh, [self.scale(index, 0.5)])
        result = self.scale(tanh, 0.5, 0.5)
        self.logits[result] = index
        return result

    def softmax(self, index: int) -> int:
        """Adds a softmax."""
        result = self.add(operations.Probabilities, [index])
        self.logits[result] = index
        return result

    def scale(self, index: int, scale, shift=0.0) -> int:
        """Adds x * scale + shift, where scale and shift are numbers or arrays."""
        size = self.size_of(index)
        factors, shifts = (np.broadcast_to(v, size) for v in (scale, shift))
        values = factors, shifts, np.abs(shifts)
        return self.add(
            operations.Scale,
            [index],
            None,
            lambda dtype: tuple(ops.convert_to_tensor(v, dtype) for v in values),
        )

    def unsupported(self, received: str, name: str | None = None) -> ValueError:
        """Creates the error for a layer that is not supported.

        Args:
            received: Description of the layer.
            name: Name of the layer. Defaults to `None`: the current layer.
        """
        return invalid_argument(
            "model",
            "layers for which bounds can be computed",
            f"layer '{self.name if name is None else name}': {received}",
            f"{SUPPORTED} To certify the model, build it from these.",
        )
