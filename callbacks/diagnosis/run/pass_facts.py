"""Passes a sample through a model, and describes what happens, without a trace."""

import warnings
from collections.abc import Iterable
from dataclasses import dataclass, field

import keras
import numpy as np

from zoo.differentiation import loss_function, unchanged_state, weight_gradients

from ...monitors.layer_outputs import MAX_ENTRIES, LayerOutputs
from ...monitors.layer_statistics import LayerStatistics, combine, measure, units_of
from ..data.sample_data import Sample
from .noting_errors import first_line
from .time_gradients import TimeGradient

MAX_EXAMPLES = 256


@dataclass(frozen=True, eq=False)
class PassFacts:
    """Result of passing a sample through a model.

    Attributes:
        loss: Loss in inference mode, including penalties: the mean over batches. `None`
            if it cannot be computed.
        training_loss: Loss in training mode, that is, with dropout and with the
            statistics of each batch.
        penalty: Sum of the terms in the loss that do not depend on targets:
            regularizers of weights and activities, and losses from `add_loss`.
        outputs: Outputs in inference mode, as float64 arrays.
        layers: Statistics of the outputs of each layer.
        is_random: Whether two passes in inference mode give different outputs.
        gradient_norms: Dict from the path of each trainable variable to the norm of its
            gradient.
        weight_norms: Dict from the path of each trainable variable to its norm.
        sample: Sample that was passed through the model.
        error: Message of an error that the loss raised, or `""`.
        constant: Loss of the best constant predictor on the same examples, without
            penalties, or `None` if unknown.
        time_gradients: Gradients of recurrent layers over time. Empty if there are no
            such layers, or if they were not measured.
    """

    loss: float | None
    training_loss: float | None = None
    penalty: float = 0.0
    outputs: tuple[np.ndarray, ...] = ()
    layers: tuple[LayerStatistics, ...] = ()
    is_random: bool = False
    gradient_norms: dict = field(default_factory=dict)
    weight_norms: dict = field(default_factory=dict)
    sample: Sample | None = None
    error: str = ""
    constant: float | None = None
    time_gradients: tuple[TimeGradient, ...] = ()

    def layer(self, name: str) -> LayerStatistics | None:
        """Returns the statistics of a layer, given its name."""
        for one in self.layers:
            if one.name == name or one.name.endswith(f"/{name}"):
                return one
        return None


def run_pass(
    model: keras.Model,
    sample: Sample,
    values: Iterable[tuple] = (),
    batch_size: int | None = None,
) -> PassFacts:
    """Passes up to 256 examples through a model. All variables keep their values.

    Args:
        model: Compiled and built model.
        sample: Examples.
        values: Pairs `(variable, tensor)`: values to use instead of the current ones.
            Defaults to `()`.
        batch_size: Number of examples in a batch for which the loss is computed.
            Defaults to `None`: one batch.
    """
    sample = sample.first(MAX_EXAMPLES)
    x = keras.tree.map_structure(keras.ops.convert_to_tensor, sample.x)
    # Keras may warn about what the rules report, such as a softmax over one unit.
    with unchanged_state(values), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        outputs, again = (
            [_to_numpy(one) for one in keras.tree.flatten(model(x, training=False))]
            for _ in range(2)
        )
        layers = _layers(model, x)
        losses, error = _losses(model, sample.batches(batch_size))
        gradients, weights = ({}, {}) if error else _norms(model, sample)
        penalty = _penalty(model, x)
    return PassFacts(
        loss=losses[0],
        training_loss=losses[1],
        penalty=penalty,
        outputs=tuple(outputs),
        layers=layers,
        is_random=any(
            not np.array_equal(a, b, equal_nan=True)
            for a, b in zip(outputs, again, strict=True)
        ),
        gradient_norms=gradients,
        weight_norms=weights,
        sample=sample,
        error=error,
    )


def _layers(model, x) -> tuple[LayerStatistics, ...]:
    outputs = LayerOutputs(model)
    found = outputs.of(x)
    if outputs.entries > MAX_ENTRIES:
        return ()
    facts = []
    for name, (tensor, mask) in found.items():
        layer = outputs.layers[name]
        array = np.asarray(keras.ops.convert_to_numpy(tensor))
        mask = None if mask is None else keras.ops.convert_to_numpy(mask)
        statistics = measure(layer, units_of(layer, array, mask))
        facts.append(combine(name, layer, [statistics]))
    return tuple(facts)


def _losses(model, batches: list[Sample]) -> tuple[list, str]:
    """Returns the losses in inference and training mode, and a message of an error."""
    values = [variable.value for variable in model.trainable_variables]
    losses: list[float | None] = []
    try:
        for training in (False, True):
            functions = [
                loss_function(
                    model,
                    one.x,
                    one.y,
                    sample_weight=one.sample_weight,
                    training=training,
                )
                for one in batches
            ]
            found = [float(_to_numpy(function(values))) for function in functions]
            losses.append(float(np.mean(found)))
    except Exception as error:  # the loss may be any function
        return [None, None], first_line(error)
    return losses, ""


def _norms(model, sample: Sample) -> tuple[dict, dict]:
    variables = model.trainable_variables
    if not variables:
        return {}, {}
    try:
        gradients = weight_gradients(
            model, sample.x, sample.y, sample_weight=sample.sample_weight
        )
    except Exception:  # a loss or layer without a gradient
        return {}, {}
    pairs = list(zip(variables, gradients, strict=True))
    return (
        {one.path: float(np.linalg.norm(_to_numpy(grad))) for one, grad in pairs},
        {one.path: float(np.linalg.norm(_to_numpy(one.value))) for one, _ in pairs},
    )


def _penalty(model, x) -> float:
    """Returns the sum of the losses that layers add."""
    # In a stateless scope, Keras reads only variables with a new value.
    with unchanged_state([(one, one.value) for one in model.trainable_variables]):
        model(x, training=False)
        return float(sum(map(_to_numpy, model.losses), np.zeros(())))


def _to_numpy(tensor) -> np.ndarray:
    return np.asarray(keras.ops.convert_to_numpy(tensor)).astype("float64")
