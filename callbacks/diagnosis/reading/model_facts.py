"""Facts about a compiled model."""

import math
from dataclasses import dataclass, field

import keras

from zoo.backend import LOSSES_FIND_LOGITS
from zoo.backend.keras_internals import flatten_layers, user_metrics

from .graph import Graph, Head
from .loss_facts import LossFacts, read_losses
from .optimizer_facts import OptimizerFacts, read_optimizer
from .read_graph import read_graph


@dataclass(frozen=True)
class LayerFacts:
    """A layer that owns weights.

    Attributes:
        name: Name of the layer.
        kind: Name of its class.
        trainable: Whether the layer is trainable.
        regularizers: L1 and L2 coefficients of its kernel: `(l1, l2)`.
        rate: Dropout rate, or `None`.
    """

    name: str
    kind: str
    trainable: bool
    regularizers: tuple[float, float] = (0.0, 0.0)
    rate: float | None = None


@dataclass(frozen=True, eq=False)
class ModelFacts:
    """Everything that can be read from a compiled model without data.

    Attributes:
        name: Name of the model.
        graph: Graph of the model, or `None` if it cannot be read.
        output_names: Names of the outputs.
        losses: Loss of each output.
        metrics: Names or classes of the metrics, as passed to `compile`.
        optimizer: Facts about the optimizer.
        layers: Layers with weights or a dropout rate.
        num_trainable: Number of trainable parameters.
        num_parameters: Number of parameters.
        has_own_step: Whether `train_step` or `compute_loss` is overridden.
        finds_logits: Whether losses use the logits behind a softmax or sigmoid.
        unknown: Sentences that say what could not be read.
    """

    name: str
    graph: Graph | None
    output_names: tuple[str, ...]
    losses: tuple[LossFacts, ...]
    metrics: tuple[str, ...]
    optimizer: OptimizerFacts
    layers: tuple[LayerFacts, ...]
    num_trainable: int
    num_parameters: int
    has_own_step: bool = False
    finds_logits: bool = LOSSES_FIND_LOGITS
    unknown: tuple[str, ...] = field(default=())

    @property
    def heads(self) -> list[Head]:
        """The end of the model at each output; empty if the graph is unknown."""
        if self.graph is None or len(self.graph.outputs) != len(self.losses):
            return []
        return [self.graph.head(i) for i in range(len(self.graph.outputs))]

    @property
    def has_normalization(self) -> bool:
        """Whether any layer normalizes its inputs by statistics of the batch or row."""
        return any("Normalization" in one.kind for one in self.layers)

    @property
    def is_new(self) -> bool | None:
        """Whether most layers have not been trained yet; `None` if unknown.

        A model that was loaded, or that is fine-tuned, is not new, even if its
        optimizer is.
        """
        if self.optimizer.iterations:
            return False
        nodes = () if self.graph is None else self.graph.nodes
        votes = [node.kernel.is_new for node in nodes if node.has_kernel]
        known = [vote for vote in votes if vote is not None]
        return 2 * sum(known) >= len(known) if known else None

    @property
    def is_frozen_in_part(self) -> bool:
        """Whether some layers with weights are frozen, as in fine-tuning."""
        return any(not one.trainable for one in self.layers)


def read_model(model: keras.Model, x=None, y=None) -> ModelFacts:
    """Reads a compiled and built model.

    Args:
        model: Compiled and built model.
        x: Inputs of a few examples, to read the graph of a subclassed model. Defaults
            to `None`.
        y: Targets, whose structure tells the number of outputs of a subclassed model.
            Defaults to `None`.
    """
    graph = read_graph(model, x)
    names = _output_names(model, graph, y)
    losses = read_losses(model, names)
    has_own_step = type(model).train_step is not keras.Model.train_step or (
        type(model).compute_loss is not keras.Model.compute_loss
    )
    return ModelFacts(
        name=model.name,
        graph=graph,
        output_names=tuple(names),
        losses=losses,
        metrics=tuple(map(_metric_name, user_metrics(model))),
        optimizer=read_optimizer(model),
        layers=tuple(_layers_of(model)),
        num_trainable=_size(model.trainable_weights),
        num_parameters=_size(model.weights),
        has_own_step=has_own_step,
        unknown=tuple(_unknown(graph, losses, has_own_step)),
    )


def _unknown(graph: Graph | None, losses, has_own_step: bool):
    """Yields a description of every part that could not be read."""
    if graph is None:
        yield "the layers of the model: its `call` method cannot be read"
    if not any(loss.weight for loss in losses):
        yield "the loss: the model is compiled without one"
    elif any(loss.weight and not loss.is_known for loss in losses):
        yield "the loss, which is not one of Keras"
    if has_own_step:
        yield "the training step, which is the model's own"


def _output_names(model, graph: Graph | None, y) -> list[str]:
    names = getattr(model, "output_names", None)
    if names and (graph is None or len(names) == len(graph.outputs)):
        return list(names)
    if isinstance(y, dict):
        return sorted(y)
    number = len(graph.outputs) if graph else max(1, len(keras.tree.flatten(y)))
    return ["output"] if number == 1 else [f"output {i + 1}" for i in range(number)]


def _layers_of(model: keras.Model):
    for layer in flatten_layers(model, include_self=False):
        rate = getattr(layer, "rate", None)
        if isinstance(layer, keras.Model) or not (layer.weights or rate is not None):
            continue
        yield LayerFacts(
            name=layer.name,
            kind=type(layer).__name__,
            trainable=bool(layer.trainable),
            regularizers=_coefficients(getattr(layer, "kernel_regularizer", None)),
            rate=float(rate) if isinstance(rate, int | float) else None,
        )


def _coefficients(regularizer) -> tuple[float, float]:
    def of(name):
        value = getattr(regularizer, name, 0.0)
        return float(value) if isinstance(value, int | float) else 0.0

    return of("l1"), of("l2")


def _metric_name(metric) -> str:
    if isinstance(metric, str):
        return "accuracy" if metric.lower() == "acc" else metric.lower()
    return getattr(metric, "__name__", type(metric).__name__)


def _size(weights) -> int:
    return sum(math.prod(one.shape) for one in weights if one.dtype != "uint32")
