"""The graph of a model as plain data: one node per call of a layer or an operation."""

import math
from dataclasses import dataclass, field

BOUNDED = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "softmax": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu6": (0.0, 6.0),
    "relu": (0.0, math.inf),
    "softplus": (0.0, math.inf),
    "exponential": (0.0, math.inf),
    "log_softmax": (-math.inf, 0.0),
    "elu": (-1.0, math.inf),
    "celu": (-1.0, math.inf),
    "selu": (-1.7581, math.inf),  # scale times alpha
    "gelu": (-0.17, math.inf),
    "silu": (-0.2785, math.inf),
    "swish": (-0.2785, math.inf),
    "mish": (-0.3088, math.inf),
}
# Roles and kinds of nodes that average or sum: the mean of an activation is not an
# activation of the mean. The operations may also reduce the axis of the units.
REDUCTIONS = ("Mean", "Sum", "Average")
AVERAGING = ("AveragePooling", "GlobalAveragePooling", "UpSampling")
# Normalizations that are linear in inference; the others divide by a statistic of
# each example.
LINEAR_NORMALIZATIONS = (
    *("BatchNormalization", "Normalization", "Rescaling", "Whitening"),
)


@dataclass(frozen=True, eq=False)
class Kernel:
    """Statistics of a kernel.

    Attributes:
        name: Path of the variable.
        fan_in: Number of inputs of each unit.
        fan_out: Number of units.
        rms: Root mean square of the entries.
        equal_units: Whether all units have the same weights. `False` for one unit.
        is_zero: Whether all entries are zero.
        looks_initial: Whether the entries are distributed exactly as their initializer
            draws them, which trained weights are not. `False` if unknown.
        trainable: Whether the optimizer updates the kernel.
        is_new: Whether the layer has not been trained: its bias still has its initial
            constant or, without a bias, its kernel looks initial. `None` if unknown.
        growth: `rms` divided by that of a new kernel, or `None` if this is unknown.
    """

    name: str
    fan_in: int
    fan_out: int
    rms: float
    equal_units: bool
    is_zero: bool
    looks_initial: bool
    trainable: bool
    is_new: bool | None = None
    growth: float | None = None

    @property
    def gain(self) -> float:
        """Factor by which the layer scales a random signal: rms * sqrt(fan_in)."""
        return self.rms * math.sqrt(self.fan_in)


NO_KERNEL = Kernel("", 0, 0, 0.0, False, False, False, False)


@dataclass(frozen=True, eq=False)
class Node:
    """One call of a layer or an operation.

    Attributes:
        name: Name of the layer or operation.
        kind: Name of its class.
        role: "input", "kernel" (affine layers), "recurrent", "embedding",
            "normalization", "dropout", "linear" (reshaping, averaging),
            "activation", "pool", "merge" (several inputs) or "unknown".
        inputs: Indices of the nodes that compute the inputs.
        shape: Shape of the output without the batch dimension.
        activation: Name of the activation that ends the node: "linear" for none,
            `None` if unknown.
        options: Arguments of the layer that rules read.
        kernel: Statistics of the kernel, or `NO_KERNEL`.
        trainable: Whether the layer is trainable.
    """

    name: str
    kind: str
    role: str
    inputs: tuple[int, ...]
    shape: tuple
    activation: str | None = "linear"
    options: dict = field(default_factory=dict)
    kernel: Kernel = NO_KERNEL
    trainable: bool = True

    @property
    def has_kernel(self) -> bool:
        """Whether the statistics of a kernel are known."""
        return self.kernel is not NO_KERNEL


@dataclass(frozen=True, eq=False)
class Head:
    """The end of the model at one output.

    Attributes:
        shape: Shape of the output without the batch dimension.
        activation: Name of the last activation; "linear" for none, `None` if unknown.
        axis: Axis of a softmax, counted from the end: -1 is the last one.
        before: Name of the activation that precedes the last one without a layer
            between them; "linear" for none, `None` if unknown, such as behind a mean.
        node: Node with the kernel of the output layer, or `None` if unknown.
        last: Node that applies the activation, or `None` if unknown.
        dropped: Names of dropout layers after the output layer.
    """

    shape: tuple
    activation: str | None
    axis: int | None = None
    before: str | None = None
    node: Node | None = None
    last: Node | None = None
    dropped: tuple[str, ...] = ()

    @property
    def units(self) -> int | None:
        """Size of the last axis; 1 for a scalar output."""
        return self.shape[-1] if self.shape else 1

    @property
    def layer(self) -> str:
        """Name of the output layer, for messages."""
        return (
            self.node.name
            if self.node
            else (self.last.name if self.last else "the last layer")
        )


@dataclass(frozen=True, eq=False)
class Graph:
    """The nodes of a model in the order of computation.

    Attributes:
        nodes: Tuple of `Node`.
        outputs: Indices of the nodes that compute the outputs.
        inputs: Indices of the inputs, in the order in which Keras flattens them; `None`
            for an input that no output depends on.
    """

    nodes: tuple[Node, ...]
    outputs: tuple[int, ...]
    inputs: tuple[int | None, ...] = ()

    def consumers(self, index: int) -> list[int]:
        """Returns the indices of the nodes that use the output of a node."""
        return [i for i, node in enumerate(self.nodes) if index in node.inputs]

    def head(self, output: int) -> Head:
        """Describes the end of the model at an output, given its position."""
        index = self.outputs[output]
        shape = self.nodes[index].shape
        dropped: list[str] = []
        last: Node | None = None
        before: str | None = "linear"
        averaged = False
        while True:
            node = self.nodes[index]
            if node.role in ("activation", "kernel"):
                if averaged and node.activation != "linear":
                    last, before = last or UNKNOWN, None
                elif last is None:
                    last = node
                elif before == "linear":
                    before = node.activation
                if node.role == "kernel":
                    return _head(shape, last, before, node, dropped)
            elif node.role == "dropout":
                dropped += [node.name] if node.kind.endswith("Dropout") else []
            elif node.role == "recurrent" and last is None and not averaged:
                return Head(shape, node.activation, None, None, node, node)
            elif node.role != "linear" or node.kind in REDUCTIONS:
                return _head(shape, last, None, None)
            if len(node.inputs) != 1:
                return _head(shape, last, None, None)
            averaged = averaged or node.kind.startswith(AVERAGING)
            (index,) = node.inputs

    @property
    def output_nodes(self) -> set[int]:
        """Indices of the nodes from the last kernel to each output."""
        found: set[int] = set()
        for index in self.outputs:
            while True:
                found.add(index)
                node = self.nodes[index]
                if node.role in ("kernel", "recurrent") or len(node.inputs) != 1:
                    break
                (index,) = node.inputs
        return found

    def hidden(self) -> list[int]:
        """Returns the indices of the hidden layers with a kernel."""
        outer = self.output_nodes
        return [
            i
            for i, node in enumerate(self.nodes)
            if node.role == "kernel" and i not in outer
        ]

    def applied_activation(self, index: int) -> str | None:
        """Returns the first nonlinearity after a layer.

        Returns:
            The name of the activation; "linear" if another layer with weights, or the
            output, follows without one; `None` if unknown, such as after a branch.
        """
        node = self.nodes[index]
        if node.activation != "linear":
            return node.activation
        while True:
            following = self.consumers(index)
            if index in self.outputs and not following:
                return "linear"
            if len(following) != 1:
                return None
            (index,) = following
            node = self.nodes[index]
            if node.role == "activation":
                return node.activation
            if node.role == "pool":
                return "max_pool"
            if node.role in ("kernel", "recurrent"):
                return "linear"
            is_normalization = node.role == "normalization"
            if is_normalization and node.kind not in LINEAR_NORMALIZATIONS:
                return None
            if node.role not in ("linear", "dropout", "normalization"):
                return None

    def is_normalized_after(self, index: int) -> bool:
        """Returns whether a normalization layer follows before the next kernel.

        The result is also `True` if this is unknown.
        """
        while True:
            following = self.consumers(index)
            if not following:
                return False
            if len(following) != 1:
                return any(
                    self.nodes[one].role in ("normalization", "merge", "unknown")
                    for one in following
                )
            (index,) = following
            role = self.nodes[index].role
            if role in ("normalization", "merge", "unknown"):
                return True
            if role in ("kernel", "recurrent", "embedding"):
                return False


# Stands for an activation that cannot be named, such as a mean of activations.
UNKNOWN = Node("", "", "unknown", (), (), None)


def _head(shape, last: Node | None, before, node: Node | None, dropped=()) -> Head:
    """Creates a `Head`; without `last`, its activation is unknown."""
    if last is None or last is UNKNOWN:
        return Head(shape, None, None, before, node, None, tuple(dropped))
    axis = _axis(last)
    return Head(shape, last.activation, axis, before, node, last, tuple(dropped))


def _axis(node: Node) -> int | None:
    axis = node.options.get("axis", -1)
    if node.activation != "softmax" or not isinstance(axis, int):
        return None
    return axis if axis < 0 else axis - len(node.shape) - 1
