"""The loss of the best constant prediction, computed with the model's own loss."""

import math
from dataclasses import dataclass

import keras
import numpy as np

from zoo.backend.keras_internals import compiled_loss, mask_of
from zoo.differentiation import unchanged_state

from ..data.sample_data import Sample
from ..reading.loss_facts import LossFacts
from ..reading.model_facts import ModelFacts
from .constants import constants, perfect

FOLDS = 8
MAX_ENTRIES = 2**18  # of targets and of predictions, each
MASKED = 256  # examples if there are masks, which take a pass through the model


@dataclass(frozen=True, eq=False)
class TrivialLoss:
    """The loss that a prediction without a look at the inputs has.

    Attributes:
        value: Loss of the best constant, in the units of the logged loss, without
            penalties.
        error: Standard error of the value.
        floor: Smallest possible loss.
        constants: Best constant of each output.
    """

    value: float
    error: float
    floor: float = 0.0
    constants: tuple[np.ndarray, ...] = ()


def measure_trivial(
    model: keras.Model, read: ModelFacts, sample: Sample, batch_size: int | None = None
) -> TrivialLoss | None:
    """Measures the loss of the best constant with the loss of the model.

    Masks, weights, reductions and any other arguments of the loss therefore count as
    they do in `fit`. A constant that is chosen on the same examples has a loss that is
    too low by `parameters / (2 * examples)`, for a log-likelihood; on other examples it
    is too high by as much (Miller, 1955; Akaike, 1974). The value is the mean of both,
    so the error is of second order. The difference is a part of the standard error.
    Both the correction and the error vanish as the sample becomes the whole dataset.

    Args:
        model: Compiled and built model.
        read: Facts about the model.
        sample: Examples with their targets. Its size is that of the training data.
        batch_size: Batch size of `fit`, on which sums over batches depend. Defaults to
            `None`: unknown.

    Returns:
        The loss, or `None` if it is unknown: the loss is not one of Keras, the training
        step is the model's own, or there are fewer than 8 examples.
    """
    predictor = _predictor(model, read, sample)
    if predictor is None or len(predictor.sample) < FOLDS:
        return None
    number = len(predictor.sample)
    folds = FOLDS if number >= 2 * FOLDS else FOLDS // 2
    rows = np.random.default_rng(0).permutation(number)[: number // folds * folds]
    parts = rows.reshape(folds, -1)
    chosen = predictor.constants(rows)
    if not all(chosen):
        return None
    try:
        inside, best = _smallest(predictor, [chosen] * folds, parts)
        others = [np.delete(parts, i, axis=0).ravel() for i in range(folds)]
        across, _ = _smallest(predictor, [*map(predictor.constants, others)], parts)
        whole = predictor.loss(best, rows)
        floor = predictor.loss(predictor.perfect(rows), rows)
    except Exception:  # the loss may be any function of the outputs
        return None
    scale = _scale(whole, inside.mean(), parts.shape, batch_size)
    unseen = 1 - len(rows) / max(len(rows), sample.size or math.inf)
    difference = unseen * max(0.0, float(across.mean() - inside.mean())) / 2
    value = float(inside.mean()) + difference
    sampling = float(inside.std(ddof=1)) * math.sqrt(unseen / folds)
    error = math.hypot(sampling, difference)
    if scale is None or not math.isfinite(value):
        return None
    floor = floor * float(inside.mean()) / whole if whole else floor
    return TrivialLoss(scale * value, scale * error, scale * floor, tuple(best))


def loss_of_constants(
    model: keras.Model,
    read: ModelFacts,
    sample: Sample,
    best: tuple[np.ndarray, ...],
    batch_size: int | None = None,
) -> float | None:
    """Returns the loss of a constant for each output, or `None` if it is unknown.

    It is the mean over batches, as the loss of `run_pass`.
    """
    predictor = _predictor(model, read, sample)
    if predictor is None or len(predictor.sample) < len(sample):
        return None
    rows = np.arange(len(sample))
    size = len(rows) if batch_size is None else min(batch_size, len(rows))
    batches = rows[: len(rows) // size * size].reshape(-1, size)
    return float(np.mean([predictor.loss(list(best), one) for one in batches]))


def uniform_loss(loss: LossFacts, units: int | None) -> float | None:
    """Returns the loss of a classifier that gives all classes the same probability."""
    if loss.is_binary and loss.name == "binary_crossentropy":
        return math.log(2)
    if (loss.is_sparse or loss.name == "categorical_crossentropy") and units:
        return math.log(units)
    return None


class _Masked(keras.layers.Layer):
    """Attaches a mask to its input."""

    def __init__(self, mask):
        super().__init__()
        self.supports_masking = True
        self._mask = mask

    def call(self, x):
        return x

    def compute_mask(self, inputs, previous_mask=None):
        return self._mask


class _Predictor:
    """Computes the loss of predictions that do not come from the model.

    Args:
        model: Compiled and built model.
        losses: Loss of each output.
        sample: Examples with their targets.
        targets: Targets of each output as float64.
        weights: Weights of the targets of each output.
        outputs: Outputs of the model for a few examples, for their structure.
        masks: Mask of each output for at least these examples, or `None`.
    """

    def __init__(self, model, losses, sample, targets, weights, outputs, masks):
        self.sample = sample
        self._loss = compiled_loss(model)
        self._losses = losses
        self._targets = targets
        self._weights = weights
        self._outputs = outputs
        self._masks = masks
        flat = keras.tree.flatten(outputs)
        self._shapes = [tuple(one.shape[1:]) for one in flat]

    def constants(self, rows) -> list[list[np.ndarray]]:
        """Returns the candidates for the best constant of each output."""
        return [
            constants(loss, target[rows], weight[rows], shape)
            for loss, target, weight, shape in zip(
                self._losses, self._targets, self._weights, self._shapes, strict=True
            )
        ]

    def perfect(self, rows) -> list[np.ndarray]:
        """Returns the best predictions for the examples."""
        parts = zip(self._losses, self._targets, self._shapes, strict=True)
        return [perfect(loss, target[rows], shape) for loss, target, shape in parts]

    def loss(self, predictions: list[np.ndarray], rows) -> float:
        """Returns the loss of predictions, or of one constant for each output."""
        sample = self.sample.take(rows)
        with unchanged_state():
            tensors = [
                self._tensor(one, shape, mask, rows)
                for one, shape, mask in zip(
                    predictions, self._shapes, self._masks, strict=True
                )
            ]
            y_pred = keras.tree.pack_sequence_as(self._outputs, tensors)
            y, weight = (
                None
                if part is None
                else keras.tree.map_structure(keras.ops.convert_to_tensor, part)
                for part in (sample.y, sample.sample_weight)
            )
            return float(keras.ops.convert_to_numpy(self._loss(y, y_pred, weight)))

    @staticmethod
    def _tensor(values, shape: tuple, mask, rows):
        values = np.broadcast_to(values, (len(rows), *shape))
        tensor = keras.ops.convert_to_tensor(values.astype(keras.config.floatx()))
        if mask is None:
            return tensor
        return _Masked(keras.ops.convert_to_tensor(mask[rows]))(tensor)


def _predictor(model, read: ModelFacts, sample: Sample) -> _Predictor | None:
    """Returns a predictor, or `None` if the loss or the targets are unknown."""
    is_known = all(one.name is not None for one in read.losses)
    if read.has_own_step or not is_known or sample.y is None:
        return None
    targets = _per_output(sample.y, read.output_names)
    if len(targets) != len(read.losses):
        return None
    if any(one is None or one.dtype.kind not in "biuf" for one in targets):
        return None
    sample = sample.first(MAX_ENTRIES // max(1, sum(one[0].size for one in targets)))
    try:
        outputs, masks = _pass(model, sample.first(MASKED))
    except Exception:  # the model cannot take these inputs
        return None
    flat = keras.tree.flatten(outputs)
    if len(flat) != len(read.losses):
        return None
    size = max(1, sum(math.prod(one.shape[1:]) for one in flat))
    has_masks = any(one is not None for one in masks)
    most = MASKED if has_masks else len(sample)
    sample = sample.first(min(most, max(FOLDS, MAX_ENTRIES // size)))
    targets = [np.asarray(one[: len(sample)], "float64") for one in targets]
    try:
        weights = _weights(sample, read.output_names, targets, masks)
        for target, loss, one in zip(targets, read.losses, flat, strict=True):
            shape = one.shape[1:-1] if loss.is_sparse else one.shape[1:]
            target.reshape(len(target), *shape)
    except ValueError:  # shapes that do not match
        return None
    if not all(np.isfinite(one).all() for one in targets):
        return None
    return _Predictor(model, read.losses, sample, targets, weights, outputs, masks)


def _pass(model, sample: Sample) -> tuple:
    """Returns outputs of some examples, and the masks of the outputs.

    Only a model with masks takes all examples.
    """
    for number in (FOLDS, len(sample)):
        x = keras.tree.map_structure(
            keras.ops.convert_to_tensor, sample.first(number).x
        )
        with unchanged_state():
            outputs = model(x, training=False)
        masks = [mask_of(one) for one in keras.tree.flatten(outputs)]
        if all(one is None for one in masks):
            break
    return outputs, [
        None if one is None else np.asarray(keras.ops.convert_to_numpy(one))
        for one in masks
    ]


def _per_output(part, names) -> list:
    """Returns the array of each output."""
    if isinstance(part, dict) and set(part) == set(names):
        return [part[name] for name in names]
    return keras.tree.flatten(part)


def _weights(sample: Sample, names, targets: list, masks: list) -> list[np.ndarray]:
    given = (
        [None]
        if sample.sample_weight is None
        else [*_per_output(sample.sample_weight, names)]
    )
    given = given * len(targets) if len(given) == 1 else given
    found = []
    for target, weight, mask in zip(targets, given, masks, strict=True):
        total = np.ones(len(target)) if weight is None else np.array(weight, "float64")
        if mask is not None:
            mask = mask[: len(target)].astype("float64")
            total = total.reshape(*total.shape, *[1] * (mask.ndim - total.ndim)) * mask
        found.append(total)
    return found


def _smallest(predictor: _Predictor, candidates: list, parts) -> tuple:
    """Returns the losses of the best candidates, one for each part.

    The loss is a sum over the outputs, so the candidates of each output are compared
    while the other outputs keep their first one.

    Args:
        predictor: Computes losses.
        candidates: For each part, the candidates of each output.
        parts: Indices of examples, of shape `(parts, examples)`.

    Returns:
        A tuple of the losses and of the candidates that were chosen, from those of the
        first part.
    """

    def losses(change: tuple[int, int] | None = None) -> np.ndarray:
        rows = []
        for part, sets in zip(parts, candidates, strict=True):
            used = [one[0] for one in sets]
            if change is not None:
                used[change[0]] = sets[change[0]][change[1]]
            rows.append(predictor.loss(used, part))
        return np.array(rows, "float64")

    base = losses()
    total, best = base, [one[0] for one in candidates[0]]
    for output, options in enumerate(candidates[0]):
        change, chosen = np.zeros_like(base), 0
        for index in range(1, len(options)):
            found = losses((output, index)) - base
            if found.mean() < change.mean():
                change, chosen = found, index
        total = total + change
        best[output] = options[chosen]
    return total, best


def _scale(whole: float, part: float, shape: tuple, batch: int | None) -> float | None:
    """Returns the loss of a batch of `fit` over the loss of a part.

    A mean over examples is the same for a part and the whole sample; a sum is as many
    times as large as there are parts. Masks move the ratio a little.
    """
    folds, size = shape
    ratio = whole / part if part else 1.0
    if 0.7 < ratio < 1.5:
        return 1.0
    if batch is None or not 0.7 < ratio / folds < 1.5:
        return None
    return batch / size
