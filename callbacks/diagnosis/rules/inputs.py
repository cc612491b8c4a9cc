"""Rules on the inputs: their scale, and errors in the data."""

from ..data.data_facts import InputFacts
from ..facts import Facts
from ..finding import Evidence, Finding, finding
from ..reading.graph import Graph
from .rule import rule

# The initializers of Keras assume inputs of mean square 1: with inputs of root mean
# square s, the first layer's outputs, and at first the logits, are s times too large.
# A factor of 10 turns a first loss of log C into one of about 10.
LARGE = 10.0
# The largest magnitude of small inputs: the signal is below the noise of Adam's epsilon
# and each unit has learned its bias before its weights.
SMALL = 0.02
MIN_EXAMPLES = 32
DUPLICATES = (
    0.9  # oversampling and small discrete tables stay below or are whole numbers
)
SORTED = 0.5  # of the variance of labels between batches, beyond chance


@rule("model", is_risk=True)
def inputs_not_scaled(facts: Facts) -> list[Finding]:
    """Inputs should have about unit scale where they meet the first kernel.

    Judged are inputs that reach a dense, convolutional or recurrent layer without a
    normalization before or directly after it, and not the ids of an embedding. Frozen
    first layers are pretrained for their own scale.
    """
    data, graph = facts.data, facts.model.graph
    if data is None or graph is None or data.examples < 8:
        return []
    found = []
    if len(graph.inputs) != len(data.inputs):
        return []
    for one, index in zip(data.inputs, graph.inputs, strict=True):
        first = None if index is None else _first_layer(graph, index)
        if not one.is_number or first is None or one.column_rms is None:
            continue
        largest = float(one.column_rms.max())
        magnitude = max(abs(one.minimum), abs(one.maximum))
        layer = graph.nodes[first].name
        if largest > LARGE:
            evidence = Evidence(
                f"Values of `{one.name}` reach from {one.minimum:.3g} to "
                f"{one.maximum:.3g}, with a root mean square of {largest:.3g}"
                + (" in the largest column," if len(one.column_rms) > 1 else ",")
                + f" where layer '{layer}' expects about 1.",
                largest,
                LARGE,
            )
        elif 0 < magnitude < SMALL:
            evidence = Evidence(
                f"The largest magnitude in `{one.name}` is {magnitude:.3g}, where "
                f"layer '{layer}' expects about 1.",
                magnitude,
                SMALL,
            )
        else:
            continue
        found.append(
            finding(
                "inputs_not_scaled",
                "warning",
                f"data `{one.name}`",
                evidence,
                *_advice(one),
                picture="inputs",
            )
        )
    return found


@rule("model")
def not_finite(facts: Facts) -> list[Finding]:
    """A single NaN or infinity in the data makes all weights NaN in one step."""
    data = facts.data
    if data is None:
        return []
    parts = [(one.name, one.non_finite) for one in data.inputs]
    parts += [(one.name, one.non_finite) for one in data.targets]
    return [
        finding(
            "data_bug",
            "error",
            f"data `{name}`",
            f"{number} values among {data.examples} examples are NaN or infinite.",
            f"{name} = np.nan_to_num({name})",
            "Find the rows: np.argwhere(~np.isfinite(...)), and repair or remove them.",
            picture="inputs",
        )
        for name, number in parts
        if number
    ]


@rule("model")
def constant_inputs(facts: Facts) -> list[Finding]:
    """Identical examples with different labels cannot be told apart."""
    data = facts.data
    if data is None or data.examples < MIN_EXAMPLES:
        return []
    found = []
    for one in data.inputs:
        is_all = len(data.inputs) == 1
        if one.is_number and one.is_constant:
            found.append(
                finding(
                    "data_bug",
                    "error" if is_all else "hint",
                    f"data `{one.name}`",
                    f"All {data.examples} examples of the sample are identical.",
                    f"print({one.name}.std(axis=0).max())",
                    "Check the code that loads and scales the inputs.",
                    picture="inputs",
                )
            )
        elif is_all and not one.is_integer and one.duplicates >= DUPLICATES:
            found.append(
                finding(
                    "data_bug",
                    "warning",
                    f"data `{one.name}`",
                    Evidence(
                        f"{one.duplicates:.0%} of the examples equal an earlier one.",
                        one.duplicates,
                        DUPLICATES,
                    ),
                    f"{one.name} = np.unique({one.name}, axis=0)",
                    picture="inputs",
                )
            )
    return found


@rule("model")
def sorted_batches(facts: Facts) -> list[Finding]:
    """Batches of one class each undo what the others have taught.

    Judged is only a dataset, because `fit` shuffles arrays itself: over at least four
    batches, more than half of the variance of the labels lies between batches.
    """
    data = facts.data
    if data is None or data.sorted_share is None or data.sorted_share < SORTED:
        return []
    return [
        finding(
            "data_bug",
            "warning",
            f"data `{data.targets[0].name}`",
            Evidence(
                f"The batches are sorted by label: {data.sorted_share:.0%} of the "
                "variance of the labels lies between batches, beyond chance.",
                data.sorted_share,
                SORTED,
            ),
            "dataset = dataset.unbatch().shuffle(10_000).batch(batch_size)",
            "Shuffle all examples before batching, with a buffer that spans classes.",
            picture="outputs",
        )
    ]


def _first_layer(graph: Graph, index: int) -> int | None:
    """Returns the first kernel after an input if the scale of the input matters there.

    Returns `None` if a normalization precedes or follows the kernel, if the path
    branches or is unknown, if the kernel is frozen, or if there is no kernel.
    """
    while True:
        following = graph.consumers(index)
        if len(following) != 1:
            return None
        (index,) = following
        node = graph.nodes[index]
        is_identity = node.kind == "Normalization" and not node.options.get("adapted")
        if node.role in ("kernel", "recurrent"):
            frozen = not node.trainable
            return None if frozen or graph.is_normalized_after(index) else index
        if node.role == "activation" and node.activation not in ("linear", "relu"):
            return None
        is_passed = node.role in ("linear", "dropout", "activation", "pool")
        if not is_passed and not is_identity:
            return None


def _advice(one: InputFacts) -> list[str]:
    is_image = len(one.shape) >= 2 and one.minimum >= 0 and one.maximum <= 255
    if is_image and one.maximum > 100:
        return [f"{one.name} = {one.name} / 255", "Scale the test inputs as well."]
    adapt = (
        f"{one.name} = ({one.name} - {one.name}.mean(axis=0)) / "
        f"({one.name}.std(axis=0) + 1e-7)"
    )
    return [
        adapt,
        "Or add keras.layers.Normalization(), adapted to the training inputs, as the "
        "first layer.",
    ]


RULES = (not_finite, constant_inputs, sorted_batches, inputs_not_scaled)
