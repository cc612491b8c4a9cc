"""Facts about a sample of the data."""

from dataclasses import dataclass

import keras
import numpy as np

from .dependence import Dependence, measure_dependence
from .rows import row_hashes
from .sample_data import Sample

MAX_CLASSES = 1000  # more distinct integers are quantities, not classes


@dataclass(frozen=True, eq=False)
class InputFacts:
    """One input of the model.

    Attributes:
        name: "x", or the name or position of the input.
        shape: Shape of one example.
        is_number: Whether the values are numbers.
        is_integer: Whether all values are whole numbers.
        minimum: Smallest finite value.
        maximum: Largest finite value.
        rms: Root mean square of all finite values.
        column_rms: Root mean square of each column, that is, each index of the last
            axis.
        column_std: Standard deviation of each column.
        zeros: Fraction of zeros.
        non_finite: Number of values that are NaN or infinite.
        is_constant: Whether all examples are identical.
        duplicates: Fraction of examples that equal an earlier one.
    """

    name: str
    shape: tuple[int, ...]
    is_number: bool
    is_integer: bool = False
    minimum: float = 0.0
    maximum: float = 0.0
    rms: float = 0.0
    column_rms: np.ndarray | None = None
    column_std: np.ndarray | None = None
    zeros: float = 0.0
    non_finite: int = 0
    is_constant: bool = False
    duplicates: float = 0.0


@dataclass(frozen=True, eq=False)
class TargetFacts:
    """The targets of one output.

    Attributes:
        name: "y", or the name or position of the output.
        shape: Shape of one target.
        kind: One of the following:

            - "one_hot": rows of zeros with a single one;
            - "multi_hot": rows of zeros and ones;
            - "probabilities": rows that sum to 1;
            - "binary": zeros and ones in one column;
            - "signed": -1 and 1;
            - "class_ids": whole numbers >= 0, few enough to be classes;
            - "integers": other whole numbers;
            - "real": other numbers;
            - "strings": no numbers.
        values: Finite values as float64, of shape `(examples, *shape)`.
        minimum: Smallest finite value.
        maximum: Largest finite value.
        distinct: Number of distinct values.
        non_finite: Number of values that are NaN or infinite.
        is_constant: Whether all targets are identical.
    """

    name: str
    shape: tuple[int, ...]
    kind: str
    values: np.ndarray
    minimum: float = 0.0
    maximum: float = 0.0
    distinct: int = 0
    non_finite: int = 0
    is_constant: bool = False

    @property
    def width(self) -> int:
        """Size of the last axis; 1 if there is none."""
        return self.shape[-1] if self.shape else 1

    @property
    def is_classes(self) -> bool:
        """Whether the targets look like classes rather than quantities."""
        kinds = ("one_hot", "multi_hot", "binary", "signed", "class_ids")
        return self.kind in kinds

    @property
    def num_classes(self) -> int:
        """Number of classes seen, for class indices and one-hot labels."""
        if self.kind in ("one_hot", "probabilities"):
            return self.width
        return self.distinct

    def classes(self) -> np.ndarray | None:
        """Returns one class index per example, or `None` if that is not possible."""
        if self.kind in ("one_hot", "probabilities") and len(self.shape) == 1:
            return self.values.argmax(axis=-1)
        is_index = self.kind in ("binary", "signed", "class_ids")
        if is_index and self.width == 1 and len(self.shape) <= 1:
            return self.values.reshape(-1).astype("int64")
        return None


@dataclass(frozen=True, eq=False)
class DataFacts:
    """A sample of the data.

    Attributes:
        inputs: Facts about each input.
        targets: Facts about each target; empty without targets.
        examples: Number of examples in the sample.
        size: Number of examples in the whole dataset, or `None` if unknown.
        batch_size: Number of examples in a batch, or `None` if unknown.
        sorted_share: For a dataset, how far batches differ in their classes: the share
            of the variance of the labels that lies between batches, beyond chance.
            `None` if unknown.
        is_autoencoder: Whether the targets equal the inputs.
        is_weighted: Whether examples have different weights, by sample or class
            weights.
        contradictions: Share of the examples with the inputs of an earlier example, but
            other targets.
        dependence: Scores of simple models that predict the targets, or `None` if they
            were not measured.
    """

    inputs: tuple[InputFacts, ...]
    targets: tuple[TargetFacts, ...]
    examples: int
    size: int | None = None
    batch_size: int | None = None
    sorted_share: float | None = None
    is_autoencoder: bool = False
    is_weighted: bool = False
    contradictions: float = 0.0
    dependence: Dependence | None = None


def describe_data(
    sample: Sample,
    *,
    dependence: bool = False,
    as_classes: bool = True,
    has_ids: bool = False,
) -> DataFacts:
    """Describes a sample from one pass through the data.

    Args:
        sample: Sample of the data.
        dependence: Whether to measure if targets depend on inputs, which takes up to
            some seconds. See `data.dependence.applies_to`. Defaults to `False`.
        as_classes: Whether simple models predict whole numbers as classes. Defaults to
            `True`.
        has_ids: Whether the inputs are ids, such as those of words. Defaults to
            `False`.
    """
    inputs = [_input(*pair) for pair in _named(sample.x, "x")]
    targets = [_target(*pair) for pair in _named(sample.y, "y")]
    x, y = keras.tree.flatten(sample.x), keras.tree.flatten(sample.y)
    is_same = (
        len(y) == 1
        and y[0] is not None
        and any(a.shape == y[0].shape and np.array_equal(a, y[0]) for a in x)
    )
    return DataFacts(
        inputs=tuple(inputs),
        targets=tuple(targets),
        examples=len(sample),
        size=sample.size,
        batch_size=sample.batch_size,
        sorted_share=_sorted_share(sample, targets),
        is_autoencoder=is_same,
        is_weighted=_is_weighted(sample),
        contradictions=_contradictions(sample),
        dependence=(
            _dependence(x, targets, as_classes, has_ids) if dependence else None
        ),
    )


def _named(part, name: str) -> list[tuple[str, np.ndarray]]:
    if part is None:
        return []
    if isinstance(part, dict):
        return [(f"{name}[{key!r}]", part[key]) for key in sorted(part)]
    flat = keras.tree.flatten(part)
    if len(flat) == 1:
        return [(name, flat[0])]
    return [(f"{name}[{i}]", array) for i, array in enumerate(flat)]


def _input(name: str, array: np.ndarray) -> InputFacts:
    shape = array.shape[1:]
    if array.dtype.kind not in "biuf":
        return InputFacts(name, shape, is_number=False)
    values = array.astype("float64")
    finite = np.isfinite(values)
    number = int(values.size - finite.sum())
    values = np.where(finite, values, 0.0)
    columns = values.reshape(-1, shape[-1] if shape else 1)
    distinct = len(set(row_hashes(values)))
    return InputFacts(
        name=name,
        shape=shape,
        is_number=True,
        is_integer=bool((values == np.round(values)).all()),
        minimum=float(values.min()),
        maximum=float(values.max()),
        rms=float(np.sqrt((values**2).mean())),
        column_rms=np.sqrt((columns**2).mean(axis=0)),
        column_std=columns.std(axis=0),
        zeros=float((values == 0).mean()),
        non_finite=number,
        is_constant=distinct == 1 and len(values) > 1,
        duplicates=1 - distinct / len(values),
    )


def _target(name: str, array: np.ndarray) -> TargetFacts:
    shape = array.shape[1:]
    if array.dtype.kind not in "biuf":
        return TargetFacts(name, shape, "strings", np.zeros((len(array), 0)))
    values = array.astype("float64")
    finite = np.isfinite(values)
    non_finite = int(values.size - finite.sum())
    values = np.where(finite, values, 0.0)
    distinct = np.unique(values)
    return TargetFacts(
        name=name,
        shape=shape,
        kind=_kind(values, shape, distinct),
        values=values,
        minimum=float(values.min()),
        maximum=float(values.max()),
        distinct=len(distinct),
        non_finite=non_finite,
        is_constant=len(values) > 1 and bool((values == values[:1]).all()),
    )


def _kind(values: np.ndarray, shape: tuple, distinct: np.ndarray) -> str:
    is_wide = bool(shape) and shape[-1] > 1
    is_binary = bool(np.isin(distinct, (0, 1)).all())
    if is_wide:
        sums = values.sum(axis=-1)
        if is_binary:
            return "one_hot" if (sums == 1).all() else "multi_hot"
        is_positive = distinct.min() >= 0 and distinct.max() <= 1
        if is_positive and np.allclose(sums, 1, atol=1e-3):
            return "probabilities"
    elif is_binary:
        return "binary"
    elif len(distinct) == 2 and set(distinct) == {-1.0, 1.0}:
        return "signed"
    if (distinct == np.round(distinct)).all():
        is_few = distinct.min() >= 0 and len(distinct) <= MAX_CLASSES
        return "class_ids" if is_few else "integers"
    return "real"


def _is_weighted(sample: Sample) -> bool:
    weights = [
        one for one in keras.tree.flatten(sample.sample_weight) if one is not None
    ]
    return any(np.ptp(one) > 0 for one in weights if np.size(one))


def _contradictions(sample: Sample) -> float:
    if sample.y is None:
        return 0.0
    first: dict[int, int] = {}
    rows = zip(row_hashes(sample.x), row_hashes(sample.y), strict=True)
    return float(np.mean([first.setdefault(x, y) != y for x, y in rows]))


def _dependence(x: list, targets: list[TargetFacts], as_classes: bool, has_ids: bool):
    """Measures the dependence of a single column on a single input."""
    if len(targets) != 1 or len(x) != 1 or targets[0].kind == "strings":
        return None
    target = targets[0]
    classes = target.classes() if as_classes else None
    if classes is None and target.values.size != len(target.values):
        return None
    values = target.values.reshape(len(x[0]), -1)[:, 0]
    return measure_dependence(x[0], classes, values, has_ids=has_ids)


def _sorted_share(sample: Sample, targets: list[TargetFacts]) -> float | None:
    """Returns the share of the variance of the labels that lies between batches.

    For shuffled batches its expected value is `(batches - 1) / (examples - 1)`, which
    is subtracted. The variance of labels is that of their one-hot encoding.
    """
    sizes = [size for size in sample.batch_sizes if size >= 8]
    if len(sizes) < 4 or len(targets) != 1:
        return None
    classes = targets[0].classes()
    if classes is None or len(set(classes)) < 2:
        return None
    encoded = (classes[:, None] == np.unique(classes)).astype("float64")
    batches = np.repeat(np.arange(len(sample.batch_sizes)), sample.batch_sizes)
    total = ((encoded - encoded.mean(axis=0)) ** 2).sum()
    within = sum(
        ((encoded[batches == i] - encoded[batches == i].mean(axis=0)) ** 2).sum()
        for i in range(len(sample.batch_sizes))
    )
    by_chance = (len(sample.batch_sizes) - 1) / (len(classes) - 1)
    return float((1 - within / total) - by_chance)
