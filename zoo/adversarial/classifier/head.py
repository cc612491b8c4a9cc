"""The head of a classifier, which converts outputs to logits and predictions."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import keras
import numpy as np
from keras import ops

from ...differentiation import unchanged_state
from ...utils.arguments import invalid_argument
from .compiled_accuracies import thresholds
from .expected_outputs import (
    LOGITS,
    MARGINS,
    PROBABILITIES,
    RATES,
    VALUES,
    expected_outputs,
    expects_one_hot,
)
from .float_inputs import graph_inputs, on_floats
from .logits import as_classes, ends_linear, find_logits, log_probabilities

PROBES = 16  # number of random inputs
TINY = 1e-37  # smallest probability with a reliable logarithm in float32


@dataclass(frozen=True)
class Head:
    """Describes how to interpret the outputs of a classifier.

    Args:
        num_outputs: Number of outputs per example. A single output is the score
            of class 1.
        activation: "softmax" or "sigmoid" if the outputs are probabilities. Defaults
            to `None`: the outputs are not probabilities.
        is_hidden: Whether logits must be computed from the probabilities, because the
            operation that computes the probabilities is not recognized. Defaults to
            `False`.
        threshold: Value above which a single output predicts class 1. Defaults to
            `0.0`.
        expected: Kind of output that the loss expects, as returned by
            `expected_outputs`. Defaults to `None`: unknown.
        one_hot: Whether the loss expects one-hot labels, as returned by
            `expects_one_hot`. Defaults to `None`: unknown, or both.
    """

    num_outputs: int
    activation: str | None = None
    is_hidden: bool = False
    threshold: float = 0.0
    expected: str | None = None
    one_hot: bool | None = None

    @property
    def num_classes(self) -> int:
        """Number of classes, which is 2 for a single output."""
        return max(2, self.num_outputs)

    @property
    def takes_signed_labels(self) -> bool:
        """Whether labels may be -1 and 1."""
        return self.num_outputs == 1 and self.expected in (None, VALUES, MARGINS)

    def classes(self, outputs: np.ndarray) -> np.ndarray:
        """Returns the predicted classes, given the outputs of the model."""
        if self.num_outputs == 1:
            return (outputs[:, 0] > self.threshold).astype("int64")
        return outputs.argmax(axis=1)

    def to_logits(self, outputs):
        """Converts outputs of the model to float32 logits for at least two classes."""
        if self.activation is not None:
            outputs = log_probabilities(outputs, self.activation)
        return self._center(outputs)

    def logits_of(self, model: keras.Model) -> Callable:
        """Returns a function that maps inputs to logits.

        The argmax of the logits is the predicted class.
        """
        if self.is_hidden:
            call = on_floats(model)
            return lambda x: self.to_logits(call(x))
        before, _ = find_logits(model)
        return lambda x: self._center(before(x))

    def _center(self, logits):
        logits = as_classes(logits)
        if self.num_outputs > 1 or not self._offset:
            return logits
        return ops.subtract(logits, np.float32([0.0, self._offset]))

    @property
    def _offset(self) -> float:
        """The logit that corresponds to the threshold."""
        if self.activation != "sigmoid":
            return self.threshold
        return math.log(self.threshold) - math.log1p(-self.threshold)


def read_head(
    model: keras.Model,
    num_outputs: int,
    outputs: np.ndarray | None,
    *,
    loss=None,
    metrics: Sequence = (),
    signed: bool = False,
) -> Head:
    """Determines the head of a classifier from its layers, loss and metrics.

    Args:
        model: Built classifier.
        num_outputs: Number of outputs per example.
        outputs: Array of shape `(examples, num_outputs)`: outputs for a few examples,
            or `None` to rely on the layers and the loss.
        loss: Loss that the model was compiled with. Defaults to `None`: the model is
            not compiled.
        metrics: Metrics that the model was compiled with. Defaults to `()`.
        signed: Whether labels are -1 and 1. Defaults to `False`.

    Returns:
        A `Head`.
    """
    expected = None if loss is None else expected_outputs(loss, num_outputs)
    activation = find_logits(model)[1]
    is_hidden = False
    if activation is None and not ends_linear(model):
        activation = _hidden_activation(num_outputs, outputs, expected)
        is_hidden = activation is not None
    threshold = 0.0
    if num_outputs == 1:
        given = thresholds(metrics)
        threshold = _threshold(activation, expected, given, signed)
    one_hot = expects_one_hot(loss) if num_outputs > 1 else None
    return Head(num_outputs, activation, is_hidden, threshold, expected, one_hot)


def probe_outputs(model: keras.Model, bounds: tuple[float, float]) -> tuple:
    """Returns the number of outputs per example, and the outputs for random inputs.

    The inputs are drawn uniformly from the interval between the bounds. The outputs are
    `None` if the last layer already determines how to interpret them, or if a
    functional model has inputs of variable size.
    """
    inputs = graph_inputs(model)
    if inputs is not None:
        shape, outputs = inputs[0].shape, model.outputs[0].shape[-1]
        if find_logits(model)[1] or ends_linear(model) or None in shape[1:]:
            return outputs, None
    else:
        shape = model.get_build_config().get("input_shape")
    if shape is None or None in shape[1:]:
        fix = "Call the model on a batch of its inputs."
        raise invalid_argument("model", "a model with a known input shape", shape, fix)
    x = np.random.default_rng(0).uniform(*bounds, (PROBES, *shape[1:]))
    with unchanged_state():
        outputs = on_floats(model)(ops.convert_to_tensor(x.astype("float32")))
    outputs = np.asarray(ops.convert_to_numpy(outputs), "float32")
    return outputs.shape[-1], outputs


def contradiction(
    head: Head, model: keras.Model, outputs: np.ndarray | None
) -> str | None:
    """Returns an explanation if the loss contradicts the head, and `None` otherwise."""
    if head.expected == LOGITS and head.activation:
        return f"the model ends in a {head.activation}, but the loss expects logits"
    if head.activation or head.expected not in (PROBABILITIES, RATES):
        return None
    highest = np.inf if head.expected == RATES else 1.0
    may_be = head.expected == RATES or not ends_linear(model)
    if outputs is not None:
        may_be &= bool(((outputs >= 0) & (outputs <= highest + 1e-3)).all())
    if may_be:
        return None
    return f"the model ends in logits, but the loss expects {head.expected}"


def vanishes(head: Head, outputs: np.ndarray) -> bool:
    """Returns whether probabilities are too extreme to recover the logits from them."""
    sure = outputs <= TINY
    if head.activation == "sigmoid":
        sure |= outputs >= 1
    return head.is_hidden and bool(sure.any())


def _hidden_activation(num_outputs, outputs, expected) -> str | None:
    """Infers an unrecognized activation from the outputs, or returns `None`."""
    if outputs is None:
        if expected != PROBABILITIES:
            return None
        return "sigmoid" if num_outputs == 1 else "softmax"
    if not ((outputs >= 0) & (outputs <= 1)).all():
        return None
    if num_outputs == 1:
        return "sigmoid" if expected in (None, PROBABILITIES) else None
    if np.allclose(outputs.sum(axis=1), 1, atol=1e-2):
        return "softmax"
    return "sigmoid" if expected == PROBABILITIES else None


def _threshold(activation, expected, given: list[float], signed: bool) -> float:
    """Returns the output value above which class 1 is predicted.

    If the model was compiled with a `BinaryAccuracy`, the threshold of that metric is
    used, unless it is the Keras default of 0.5, which may not be a deliberate choice.
    Otherwise, the activation, the loss and the labels determine the threshold.
    """
    chosen = [one for one in given if one != 0.5]
    if activation == "sigmoid":
        return next((one for one in chosen if 0 < one < 1), 0.5)
    if chosen:
        return chosen[0]
    if signed or expected in (LOGITS, MARGINS):
        return 0.0
    if expected in (VALUES, RATES, PROBABILITIES) or given:
        return 0.5
    return 0.0
