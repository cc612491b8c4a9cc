"""Rules on how layers follow each other, and on their axes."""

from ..facts import Facts
from ..finding import Finding, finding
from ..reading.graph import Graph
from .outputs import outputs_of
from .rule import rule


@rule("model", is_risk=True)
def linear_hidden_stack(facts: Facts) -> list[Finding]:
    """Affine layers without an activation between them equal one affine layer.

    A finding needs a graph in which every hidden layer is known to be linear. If some
    are not, the linear ones may be deliberate projections, and are only a hint. Linear
    autoencoders compute principal components, so they are a hint as well.
    """
    graph = facts.model.graph
    if graph is None or any(node.role == "unknown" for node in graph.nodes):
        return []
    hidden = graph.hidden()
    linear = [i for i in hidden if graph.applied_activation(i) == "linear"]
    others = [node for node in graph.nodes if node.role in ("recurrent", "merge")]
    linear = [i for i in linear if not _is_projection(graph, i)]
    if not linear:
        return []
    names = [graph.nodes[i].name for i in linear]
    is_all = len(linear) == len(hidden) and not others
    is_linear_code = facts.data is not None and facts.data.is_autoencoder
    severity = "warning" if is_all and not is_linear_code else "hint"
    node = graph.nodes[linear[0]]
    size = node.options.get("units", node.options.get("filters"))
    return [
        finding(
            "linear_hidden_stack",
            severity,
            f"layer '{names[0]}'",
            (
                f"None of the {len(hidden)} hidden layers has an activation"
                if is_all
                else f"{len(linear)} of {len(hidden)} hidden layers have no activation"
            )
            + f" ({', '.join(names[:4])}), so they act as one linear layer.",
            f"keras.layers.{node.kind}({size}, activation='relu', name={node.name!r})",
            picture="graph",
        )
    ]


@rule("model")
def softmax_in_the_middle(facts: Facts) -> list[Finding]:
    """A hidden softmax leaves one free signal of total 1 for all of its units.

    Attention and gates multiply by their softmax, so only a softmax that feeds another
    kernel is judged.
    """
    graph = facts.model.graph
    if graph is None:
        return []
    found = []
    for index in graph.hidden():
        node = graph.nodes[index]
        if graph.applied_activation(index) != "softmax" or not _feeds_kernel(
            graph, index
        ):
            continue
        size = node.options.get("units", node.options.get("filters"))
        found.append(
            finding(
                "misused_layer",
                "warning",
                f"layer '{node.name}'",
                f"The hidden layer '{node.name}' ends in a softmax: its {size} outputs "
                "compete for a sum of 1.",
                f"keras.layers.{node.kind}({size}, activation='relu', "
                f"name={node.name!r})",
                picture="activations",
            )
        )
    return found


@rule("model")
def softmax_over_wrong_axis(facts: Facts) -> list[Finding]:
    """The softmax must sum over the classes, which a cross-entropy takes from axis -1.

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
        axis = "the batch" if is_batch else f"axis {head.axis}"
        found.append(
            finding(
                "misused_layer",
                "error",
                f"layer '{head.last.name if head.last else head.layer}'",
                f"The softmax sums over {axis} instead of the classes, of which the "
                f"last axis has {head.units}.",
                "keras.layers.Softmax(axis=-1)",
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
        per_example = len(target.shape) == 0 or (
            len(target.shape) == 1
            and (target.shape[0] == 1 or target.shape[0] == head.units)
        )
        axes = len(head.shape) - 1
        if not per_example or axes < 1 or all(size == 1 for size in head.shape[:-1]):
            continue
        recurrent = [
            node
            for node in graph.nodes
            if node.role == "recurrent" and node.options.get("return_sequences")
        ]
        fix = "keras.layers.Flatten()"
        if recurrent:
            last = recurrent[-1]
            units = last.options.get("units", "...")
            fix = f"keras.layers.{last.kind}({units}, name={last.name!r})"
        found.append(
            finding(
                "misused_layer",
                "error",
                f"layer '{head.layer}'",
                f"The output has the shape {('batch', *head.shape)}, but there is one "
                f"label per example: {axes} axis is left over.".replace(
                    "1 axis is", "one axis is" if axes == 1 else f"{axes} axes are"
                ),
                fix,
                f"Place it before layer '{head.layer}'."
                if not recurrent
                else "Without return_sequences=True, it returns the last state.",
                picture="graph",
            )
        )
    return found


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
                        f"keras.layers.Embedding({needed}, ..., name={node.name!r})",
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
    embedding_of_floats,
)
