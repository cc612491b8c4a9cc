"""Rules on the scale and the kind of the inputs."""

import keras
import numpy as np

from ..data.data_facts import InputFacts
from ..data.sample_data import Sample
from ..facts import Facts
from ..finding import Evidence, Finding, finding
from . import data_errors
from .first_layers import first_layers
from .harm import severity_of_risk
from .rule import rule

# The initializers of Keras assume inputs of mean square 1: with inputs of root mean
# square s, the first layer's outputs, and at first the logits, are s times too large.
# A factor of 10 turns a first loss of log C into one of about 10.
LARGE = 10.0
# The largest magnitude of small inputs. With a rate r, Adam needs about 1 / (r * n * s)
# steps to change a unit of n inputs of magnitude s by 1: 5,000 steps for ten inputs of
# 0.02 at the default rate.
SMALL = 0.02
# Mean of a column in standard deviations. The curvature of the loss along the mean is
# its square times larger than along the signal (LeCun et al., 1998, section 4.3), so
# gradient descent needs 400 times more steps.
OFFSET = 20.0
# Standard deviations of a correlation that chance does not explain.
SURE = 4.0
MIN_EXAMPLES = 32
# Ids of words: sequences of at least 8 ids, from more words than an image has levels.
MIN_LENGTH, MAX_LEVEL, MIN_WORDS = 8, 255, 100
# Sums in which one column is 1,000 times larger than the others depend on it only. A
# normalization divides by the deviation of these sums.
DOMINANT = 1000.0


@rule("model", "graph", "data", is_risk=True)
def inputs_not_scaled(facts: Facts) -> list[Finding]:
    """Inputs should have about unit scale where they meet the first kernel.

    Judged are inputs that reach a dense, convolutional or recurrent layer without a
    normalization before or directly after it, and not the ids of an embedding. A
    pretrained model has learned the scale of its inputs, and padding is no input.
    """
    data = facts.data
    is_new = facts.model.is_new is not False
    if data is None or data.examples < 8 or not is_new or _is_padded(facts):
        return []
    found = []
    for one, node in first_layers(facts):
        if _has_word_ids(facts, one):
            continue
        evidence = _scale_of(one, node.name) or _offset_of(one, node.name)
        if evidence is not None:
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


def _scale_of(one: InputFacts, layer: str) -> Evidence | None:
    if one.column_rms is None:
        return None
    largest = float(one.column_rms.max())
    magnitude = max(abs(one.minimum), abs(one.maximum))
    if largest > LARGE:
        return Evidence(
            f"Values of `{one.name}` reach from {one.minimum:.3g} to "
            f"{one.maximum:.3g}, with a root mean square of {largest:.3g}"
            + (" in the largest column," if len(one.column_rms) > 1 else ",")
            + f" where layer '{layer}' expects about 1.",
            largest,
            LARGE,
        )
    if 0 < magnitude < SMALL:
        return Evidence(
            f"The largest magnitude in `{one.name}` is {magnitude:.3g}, where "
            f"layer '{layer}' expects about 1.",
            magnitude,
            SMALL,
        )
    return None


def _offset_of(one: InputFacts, layer: str) -> Evidence | None:
    """Returns evidence if most columns differ little compared with their mean."""
    if one.column_rms is None or one.column_std is None or one.is_constant:
        return None
    varied = one.column_std > 1e-6 * one.column_rms
    if not varied.any():
        return None
    rms, std = one.column_rms[varied], one.column_std[varied]
    ratio = float(np.median(np.sqrt(np.maximum(rms**2 - std**2, 0)) / std))
    if ratio <= OFFSET:
        return None
    return Evidence(
        f"The mean of the columns of `{one.name}` is {ratio:.3g} times their standard "
        f"deviation, where layer '{layer}' expects a mean near 0.",
        ratio,
        OFFSET,
    )


@rule("first_pass", "graph", "data")
def small_column_with_signal(facts: Facts) -> list[Finding]:
    """A column of tiny numbers is lost beside columns of unit scale.

    The column must be the one that correlates most with the targets, beyond chance, so
    that it matters. Only a single table with a single target is judged.
    """
    data, start = facts.data, facts.start
    sample = start.sample if start is not None else None
    if data is None or not isinstance(sample, Sample) or sample.y is None:
        return []
    layers = first_layers(facts)
    if len(layers) != 1 or len(data.inputs) != 1 or facts.model.is_new is False:
        return []
    ((one, node),) = layers
    x, y = keras.tree.flatten(sample.x), keras.tree.flatten(sample.y)
    if len(x) != 1 or len(y) != 1 or x[0].ndim != 2 or y[0].dtype.kind not in "biuf":
        return []
    strongest = _strongest_column(x[0].astype("float64"), y[0])
    rms = np.sqrt((x[0].astype("float64") ** 2).mean(axis=0))
    if strongest is None or rms[strongest] >= SMALL or np.median(rms) < 10 * SMALL:
        return []
    return [
        finding(
            "inputs_not_scaled",
            severity_of_risk(facts),
            f"data `{one.name}`",
            Evidence(
                f"Column {strongest} of `{one.name}` correlates most with the targets, "
                f"but its root mean square is {rms[strongest]:.3g}, where layer "
                f"'{node.name}' expects about 1.",
                float(rms[strongest]),
                SMALL,
            ),
            *_advice(one),
            picture="inputs",
        )
    ]


@rule("model", "graph", "data", is_risk=True)
def dominant_column(facts: Facts) -> list[Finding]:
    """One column of huge values hides all others, also from a normalization.

    A normalization after the first kernel makes up for the scale of all inputs
    together, but not for one column that determines nearly all of the sums.
    """
    found = []
    for one, node in first_layers(facts, normalized=True):
        rms = one.column_rms
        if rms is None or len(one.shape) != 1 or len(rms) < 2:
            continue
        largest, typical = int(rms.argmax()), float(np.median(rms))
        if typical > 0 and rms[largest] > max(LARGE, DOMINANT * typical):
            found.append(
                finding(
                    "inputs_not_scaled",
                    "warning",
                    f"data `{one.name}`",
                    Evidence(
                        f"The root mean square of column {largest} of `{one.name}` is "
                        f"{rms[largest]:.3g}, that of a typical column {typical:.3g}: "
                        f"layer '{node.name}' sees only column {largest}.",
                        float(rms[largest]),
                        DOMINANT * typical,
                    ),
                    *_advice(one),
                    picture="inputs",
                )
            )
    return found


def _strongest_column(x: np.ndarray, y: np.ndarray) -> int | None:
    """Returns the column that correlates most with the targets, beyond chance."""
    number = len(x)
    values = y.reshape(number, -1).astype("float64")
    if number < MIN_EXAMPLES or not np.isfinite(x).all():
        return None
    if values.shape[1] == 1 and (values == values.round()).all():
        distinct = np.unique(values)
        values = (values == distinct) * 1.0 if len(distinct) <= 32 else values
    x, values = x - x.mean(axis=0), values - values.mean(axis=0)
    x /= np.maximum(np.linalg.norm(x, axis=0), 1e-30)
    values /= np.maximum(np.linalg.norm(values, axis=0), 1e-30)
    correlation = np.abs(x.T @ values).max(axis=1)
    best = int(correlation.argmax())
    return best if correlation[best] > SURE / np.sqrt(number) else None


@rule("first_pass", "graph", "data", is_risk=True)
def ids_without_embedding(facts: Facts) -> list[Finding]:
    """Ids of words are names, not quantities: a kernel cannot use their size."""
    found = []
    for one, node in first_layers(facts):
        if not _has_word_ids(facts, one):
            continue
        size = int(one.maximum) + 1
        found.append(
            finding(
                "misused_layer",
                "warning",
                f"layer '{node.name}'",
                f"`{one.name}` contains sequences of ids up to {one.maximum:g}, which "
                f"layer '{node.name}' takes as quantities.",
                f"keras.layers.Embedding({size}, 64)  # before layer {node.name!r}",
                picture="inputs",
            )
        )
    return found


def _has_word_ids(facts: Facts, one: InputFacts) -> bool:
    """Returns whether an input contains sequences of ids.

    Ids are whole numbers. Frequent ones are small, so that the median is far below the
    largest; any column can contain any; and neighbors do not resemble each other, as
    those in images and time series do.
    """
    data, start = facts.data, facts.start
    length = one.shape[0] if one.shape else 0
    if not one.is_integer or one.minimum < 0 or one.maximum <= MAX_LEVEL:
        return False
    if data is None or len(one.shape) > 2 or one.shape[1:] not in ((), (1,)):
        return False
    sample = start.sample if start is not None else None
    if not isinstance(sample, Sample) or length < MIN_LENGTH:
        return False
    arrays = keras.tree.flatten(sample.x)
    if len(arrays) != len(data.inputs):
        return False
    rows = np.asarray(arrays[data.inputs.index(one)], "float64").reshape(-1, length)
    ids = rows[rows > 0]
    if len(np.unique(ids)) < MIN_WORDS or np.median(ids) > 0.2 * ids.max():
        return False
    is_any = (rows.max(axis=0) > 0.25 * rows.max()).mean() >= 0.5
    left, right = rows[:, :-1].ravel(), rows[:, 1:].ravel()
    both = (left > 0) & (right > 0)
    if both.sum() < MIN_WORDS:
        return False
    neighbors = np.corrcoef(np.log(left[both]), np.log(right[both]))[0, 1]
    return bool(is_any and abs(neighbors) < 0.3)


def _is_padded(facts: Facts) -> bool:
    """Returns whether a masking layer leaves out a value that could be a large one."""
    graph = facts.model.graph
    return graph is not None and any(
        node.kind == "Masking" and node.options.get("mask_value") != 0
        for node in graph.nodes
    )


def _advice(one: InputFacts) -> list[str]:
    """Returns code that scales an input.

    Gray levels and counts share one scale: columns of their own would turn a border
    pixel, constant in training, into a huge number.
    """
    name, levels = one.name, one.is_integer and one.minimum >= 0
    is_wide = len(one.shape) >= 2 or (bool(one.shape) and one.shape[0] > 30)
    if levels and is_wide and 1 < one.maximum <= 65535:
        scale = 255 if 100 < one.maximum <= 255 else one.maximum
        return [f"{name} = {name} / {scale:g}", "Scale the test inputs as well."]
    axis = "" if one.shape else "axis=None"
    return [
        f"norm = keras.layers.Normalization({axis}); norm.adapt({name}); "
        f"{name} = keras.ops.convert_to_numpy(norm({name}))",
        "Apply the same layer to the test inputs, or make it the first layer.",
    ]


RULES = (
    *data_errors.RULES,
    inputs_not_scaled,
    dominant_column,
    small_column_with_signal,
    ids_without_embedding,
)
