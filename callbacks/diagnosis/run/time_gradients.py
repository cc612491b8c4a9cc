"""Measures how far back in time the loss depends on the inputs of a recurrent layer."""

from dataclasses import dataclass

import keras
import numpy as np

from zoo.backend.keras_internals import flatten_layers, patched
from zoo.differentiation import input_gradient, loss_function

from ..data.sample_data import Sample

MAX_EXAMPLES = 32
MIN_STEPS = 20  # so that a tenth has two


@dataclass(frozen=True)
class TimeGradient:
    """The gradient with respect to the inputs of a recurrent layer over time.

    Attributes:
        layer: Name of the layer.
        steps: Number of steps.
        ratio: Norm of the gradient in the first tenth of the steps, relative to the
            last tenth: the median over the examples. Masked steps do not count.
    """

    layer: str
    steps: int
    ratio: float


def time_gradients(model: keras.Model, sample: Sample) -> tuple[TimeGradient, ...]:
    """Differentiates the loss with respect to the inputs of the first recurrent layer.

    Later recurrent layers, and the two directions of a `Bidirectional` layer, have a
    shorter way to the first steps. All variables keep their values.

    Args:
        model: Compiled and built model.
        sample: Examples, of which up to 32 are used.

    Returns:
        A tuple with one `TimeGradient`, or an empty tuple if there is no recurrent
        layer, the layer runs more than once, or the sequences are short.
    """
    layer = _first_recurrent(model)
    if layer is None:
        return ()
    sample = sample.first(MAX_EXAMPLES)
    loss = loss_function(
        model, sample.x, sample.y, sample_weight=sample.sample_weight, training=False
    )
    values = [variable.value for variable in model.trainable_variables]
    seen = _Inputs(layer.call)
    with patched(layer, call=seen):
        loss(values)
        shape = seen.shapes[0] if len(seen.shapes) == 1 else ()
        if len(shape) != 3 or shape[1] < MIN_STEPS:
            return ()

        def losses(change):
            seen.change = change
            total = keras.ops.cast(loss(values), change.dtype)
            return keras.ops.broadcast_to(total / len(change), (len(change),))

        _, gradient = input_gradient(losses, np.zeros(shape, "float32"))
    norms = np.linalg.norm(keras.ops.convert_to_numpy(gradient), axis=-1)
    mask = np.ones(shape[:2], bool) if seen.mask is None else seen.mask
    ratios = [_ratio(*pair) for pair in zip(norms, mask, strict=True)]
    ratios = [one for one in ratios if np.isfinite(one)]
    if not ratios:
        return ()
    return (TimeGradient(layer.name, int(shape[1]), float(np.median(ratios))),)


class _Inputs:
    """Calls a layer with changed inputs, and keeps their shapes and the mask."""

    def __init__(self, call):
        self._call = call
        self.shapes: list[tuple] = []
        self.mask: np.ndarray | None = None
        self.change = None

    def __call__(self, sequences, *args, **kwargs):
        if self.change is None:
            self.shapes.append(tuple(sequences.shape))
            mask = kwargs.get("mask")
            if mask is not None:
                self.mask = keras.ops.convert_to_numpy(mask).astype(bool)
        else:
            sequences = sequences + keras.ops.cast(self.change, sequences.dtype)
        return self._call(sequences, *args, **kwargs)


def _first_recurrent(model: keras.Model) -> keras.layers.RNN | None:
    inside: set[int] = set()
    for layer in flatten_layers(model, include_self=False):
        if isinstance(layer, keras.layers.Bidirectional):
            inside |= {id(layer.forward_layer), id(layer.backward_layer)}
        elif isinstance(layer, keras.layers.RNN) and id(layer) not in inside:
            return None if layer.go_backwards else layer
    return None


def _ratio(norms: np.ndarray, mask: np.ndarray) -> float:
    """Returns the ratio of one example; NaN if it is short or has no gradient."""
    norms = norms[mask]
    number = len(norms) // 10
    if len(norms) < MIN_STEPS or not norms[-number:].any():
        return float("nan")
    return float(norms[:number].mean() / norms[-number:].mean())
