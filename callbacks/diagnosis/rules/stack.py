"""Rules on how layers follow each other, and on their axes."""

from ..facts import Facts
from ..finding import Finding, finding
from ..reading.graph import Graph, Node
from . import advice
from .outputs import Output, outputs_of
from .rule import rule

CHANNELS = 4  # of an image: gray, color, or color with transparency
MOVES = ("Flatten", "Reshape", "Permute", "Transpose", "GetItem")  # mix the axes
PLAIN_ROLES = (
    *("input", "kernel", "normalization", "dropout", "linear", "activation", "pool"),
)


@rule("model", is_risk=True)
def linear_hidden_stack(facts: Facts) -> list[Finding]:
    """Affine layers without an activation between them equal one affine layer.

    A finding needs a graph in which every hidden layer is known to have no activation.
    Maximum pooling is no substitute for one. If some hidden layers have an activation,
    the linear ones may be deliberate projections, and are only a hint. Linear
    autoencoders compute principal components, so they are a hint as well.
    """
    graph = facts.model.graph
    if graph is None or any(node.role == "unknown" for node in graph.nodes):
        return []
    hidden = graph.hidden()
    after = {i: graph.applied_activation(i) for i in hidden}
    linear = [i for i in hidden if after[i] == "linear"]
    linear = [i for i in linear if not _is_projection(graph, i)]
    if not linear:
        return []
    others = [node for node in graph.nodes if node.role in ("recurrent", "merge")]
    projections = [i for i in hidden if after[i] == "linear" and i not in linear]
    pooled = [i for i in hidden if after[i] == "max_pool"]
    is_all = len(linear) + len(pooled) == len(hidden) and not others and not projections
    is_linear_code = facts.data is not None and facts.data.is_autoencoder
    names = [graph.nodes[i].name for i in linear]
    return [
        finding(
            "linear_hidden_stack",
            "warning" if is_all and not is_linear_code else "hint",
            f"layer '{names[0]}'",
            (
                f"None of the {len(hidden)} hidden layers has an activation"
                if is_all
                else f"{len(linear)} of {len(hidden)} hidden layers have no activation"
            )
            + f" ({', '.join(names[:4])}), so they act as one linear layer"
            + (", apart from the pooling." if is_all and pooled else "."),
            *[
                advice.layer_code(graph.nodes[i], activation="relu")
                for i in (hidden if is_all else linear)
            ],
            picture="graph",
        )
    ]


@rule("model", is_risk=True)
def softmax_in_the_middle(facts: Facts) -> list[Finding]:
    """A hidden softmax leaves one free signal of total 1 for all of its units.

    Attention and gates multiply by their softmax, so only a softmax that feeds another
    kernel is judged. The narrowest layer of an autoencoder can be a choice on purpose,
    such as the topics of a document, and is a hint.
    """
    graph = facts.model.graph
    if graph is None:
        return []
    found = []
    hidden = graph.hidden()
    narrowest = min((_width(graph.nodes[i]) for i in hidden), default=0)
    is_code = facts.data is not None and facts.data.is_autoencoder
    for index in hidden:
        node = graph.nodes[index]
        if graph.applied_activation(index) != "softmax" or not _feeds_kernel(
            graph, index
        ):
            continue
        is_meant = is_code and _width(node) == narrowest
        found.append(
            finding(
                "misused_layer",
                "hint" if is_meant else "warning",
                f"layer '{node.name}'",
                f"The hidden layer '{node.name}' ends in a softmax: its "
                f"{_width(node)} outputs compete for a sum of 1.",
                _replace_softmax(graph, index),
                picture="activations",
            )
        )
    return found


def _width(node: Node) -> int:
    return node.shape[-1] if node.shape and node.shape[-1] else 0


def _replace_softmax(graph: Graph, index: int) -> str:
    """Returns the layer with a ReLU, wherever its softmax is."""
    node = graph.nodes[index]
    while node.activation != "softmax":
        (index,) = graph.consumers(index)
        node = graph.nodes[index]
    if node.role == "activation":
        return f"keras.layers.Activation('relu', name={node.name!r})"
    return advice.layer_code(node, activation="relu")


@rule("model")
def softmax_over_wrong_axis(facts: Facts) -> list[Finding]:
    """The softmax must sum over the classes, for which a loss has an axis: usually -1.

    Axis 0 is the batch, so the prediction for one example depends on the others.
    """
    found = []
    for output in outputs_of(facts):
        head = output.head
        if head.activation != "softmax" or head.axis in (None, -1):
            continue
        is_batch = head.axis == -len(head.shape) - 1
        if not (is_batch or output.loss.is_sparse or output.loss.is_categorical):
            continue
        if head.axis == _from_end(output.loss.axis, head.shape):
            continue
        axis = "the batch" if is_batch else f"axis {head.axis}"
        found.append(
            finding(
                "misused_layer",
                "error",
                f"layer '{head.last.name if head.last else head.layer}'",
                f"The softmax sums over {axis} instead of the classes, of which the "
                f"last axis has {head.units}.",
                f"keras.layers.Softmax(axis={output.loss.axis or -1}"
                + (f", name={head.last.name!r})" if head.last else ")"),
                picture="outputs",
            )
        )
    return found


@rule("model")
def missing_flatten(facts: Facts) -> list[Finding]:
    """A dense layer acts on the last axis only, so other axes remain in the outputs.

    The targets tell whether that is meant: here they have one value or row per
    example, while the output has more axes.
    """
    found = []
    graph = facts.model.graph
    for output in outputs_of(facts):
        target, head = output.target, output.head
        if target is None or output.loss.name is None or graph is None:
            continue
        axes = len(head.shape) - 1
        if axes < 1 or all(size == 1 for size in head.shape[:-1]):
            continue
        if _fits(output) or not _is_per_example(output):
            continue
        left = "one axis is" if axes == 1 else f"{axes} axes are"
        found.append(
            finding(
                "misused_layer",
                "error",
                f"layer '{head.layer}'",
                f"The output has the shape {('batch', *head.shape)}, but there is one "
                f"label per example: {left} left over.",
                *_flatten(graph, head.layer),
                picture="graph",
            )
        )
    return found


@rule("model", is_risk=True)
def dense_layers_of_pixels(facts: Facts) -> list[Finding]:
    """Dense layers act on the last axis: those of an image see one pixel at a time.

    If only pooling combines the pixels, the result does not depend on where they are.
    """
    graph, data = facts.model.graph, facts.data
    if graph is None or data is None or len(graph.inputs) != 1 or None in graph.inputs:
        return []
    roles = {node.role for node in graph.nodes}
    kinds = {node.kind for node in graph.nodes}
    is_plain = roles <= {*PLAIN_ROLES} and not kinds & {*MOVES}
    kernels = [node for node in graph.nodes if node.role == "kernel"]
    is_image = len(data.inputs) == 1 and len(data.inputs[0].shape) in (2, 3)
    if not (is_plain and is_image) or {node.kind for node in kernels} != {"Dense"}:
        return []
    first = kernels[0]
    if len(first.shape) != 3 or first.kernel.fan_in > CHANNELS:
        return []
    return [
        finding(
            "misused_layer",
            "warning",
            f"layer '{first.name}'",
            f"Layer '{first.name}' sees one pixel at a time ({first.kernel.fan_in} "
            f"value{'s'[: first.kernel.fan_in != 1]}), and no layer relates pixels to "
            "each other.",
            f"keras.layers.Conv2D({first.kernel.fan_out}, 3, padding='same', "
            f"activation={first.activation!r}, name={first.name!r})",
            "Or flatten the image before the first layer, and do not pool.",
            picture="graph",
        )
    ]


def _fits(output: Output) -> bool:
    """Returns whether targets have a value or a row for each position of the output."""
    shape, head = output.target.shape if output.target else (), output.head
    if shape == head.shape:
        return True
    if not (output.loss.is_sparse or output.is_scalar):
        return False
    if output.target is not None and output.target.kind == "one_hot":
        return False
    rows = shape[:-1] if shape and shape[-1] == 1 else shape
    return head.shape[:-1] in (shape, rows)


def _is_per_example(output: Output) -> bool:
    shape = output.target.shape if output.target else ()
    is_row = len(shape) == 1 and shape[0] in (1, output.head.units)
    return len(shape) == 0 or is_row


def _flatten(graph: Graph, layer: str) -> list[str]:
    """Returns advice that removes the axis of positions before the output layer."""
    recurrent = [
        node
        for node in graph.nodes
        if node.role == "recurrent" and node.options.get("return_sequences")
    ]
    if not recurrent:
        return [
            f"keras.layers.Flatten()  # before layer {layer!r}",
            "Or average over positions with a global pooling layer.",
        ]
    last = recurrent[-1]
    if last.kind not in advice.REQUIRED:  # a wrapper, such as Bidirectional
        return [f"keras.layers.GlobalMaxPooling1D()  # after layer {last.name!r}"]
    return [
        advice.layer_code(last, return_sequences=False),
        "Without return_sequences=True, the layer returns its last state.",
    ]


def _from_end(axis: int | None, shape: tuple) -> int:
    if axis is None:
        return -1
    return axis if axis < 0 else axis - len(shape) - 1


@rule("model")
def embedding_of_floats(facts: Facts) -> list[Finding]:
    """An embedding looks rows up by index: fractions are cut off."""
    data, graph = facts.data, facts.model.graph
    if data is None or graph is None:
        return []
    if len(graph.inputs) != len(data.inputs):
        return []
    found = []
    for one, index in zip(data.inputs, graph.inputs, strict=True):
        embeddings = [
            graph.nodes[i]
            for i in (() if index is None else graph.consumers(index))
            if graph.nodes[i].role == "embedding"
        ]
        for node in embeddings if one.is_number else ():
            size = node.options.get("input_dim")
            if not one.is_integer:
                found.append(
                    finding(
                        "misused_layer",
                        "error",
                        f"layer '{node.name}'",
                        f"`{one.name}` contains fractions (from {one.minimum:.3g} to "
                        f"{one.maximum:.3g}), but an embedding takes indices.",
                        "keras.layers.Dense(64, activation='relu', "
                        f"name={node.name!r})",
                        picture="inputs",
                    )
                )
            elif size is not None and (one.maximum >= size or one.minimum < 0):
                needed = int(one.maximum) + 1
                found.append(
                    finding(
                        "misused_layer",
                        "error",
                        f"layer '{node.name}'",
                        f"`{one.name}` contains indices from {one.minimum:g} to "
                        f"{one.maximum:g}, but input_dim is {size}.",
                        f"{one.name} = {one.name} - {one.name}.min()"
                        if one.minimum < 0
                        else advice.layer_code(node, input_dim=needed),
                        picture="inputs",
                    )
                )
    return found


def _is_projection(graph: Graph, index: int) -> bool:
    """Returns whether a linear layer is a bottleneck, narrower than its neighbors."""
    node = graph.nodes[index]
    kernel = node.kernel
    if not node.has_kernel:
        return True
    return 2 * kernel.fan_out <= kernel.fan_in and kernel.fan_out <= 8


def _feeds_kernel(graph: Graph, index: int) -> bool:
    while True:
        following = graph.consumers(index)
        if len(following) != 1:
            return False
        (index,) = following
        role = graph.nodes[index].role
        if role in ("kernel", "recurrent"):
            return True
        if role not in ("linear", "dropout", "normalization", "activation", "pool"):
            return False


RULES = (
    linear_hidden_stack,
    softmax_in_the_middle,
    softmax_over_wrong_axis,
    missing_flatten,
    dense_layers_of_pixels,
    embedding_of_floats,
)
