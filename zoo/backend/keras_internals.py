"""Names that Keras, KerasTuner and TensorFlow do not promise to keep.

Each function uses one such name and says why there is no public way. If the name is
gone, it raises an `ImportError` that names it.
"""

import contextlib
from collections.abc import Iterator

import keras


def attribute(owner, name: str):
    """Returns an attribute that is private to another library.

    Raises:
        ImportError: If it does not exist.
    """
    if not hasattr(owner, name):
        raise missing(f"{type(owner).__name__}.{name}")
    return getattr(owner, name)


def missing(name: str) -> ImportError:
    """Returns the error for a private name that does not exist."""
    return ImportError(
        f"kerascope uses `{name}`, which the installed versions do not have: Keras "
        f"{keras.__version__}.\nInstall a version of Keras that kerascope was tested "
        "with (see its README)."
    )


@contextlib.contextmanager
def float64_operations() -> Iterator[None]:
    """Stops Keras operations from casting float64 to float32 on JAX and PyTorch.

    `keras.config.set_floatx("float64")` changes the dtype of new variables only.
    """
    try:
        from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE
    except ImportError:
        raise missing("keras.src.backend.common.dtypes.BIT64_TO_BIT32_DTYPE") from None
    narrowed = dict(BIT64_TO_BIT32_DTYPE)
    BIT64_TO_BIT32_DTYPE["float64"] = "float64"
    try:
        yield
    finally:
        BIT64_TO_BIT32_DTYPE.update(narrowed)


def flatten_layers(model: keras.Layer, **options) -> list[keras.Layer]:
    """Returns a layer and all layers inside it.

    `keras.Model.layers` lacks layers inside of layers.

    Args:
        model: A layer or model.
        **options: `recursive` and `include_self`, both `True` by default.
    """
    return list(attribute(model, "_flatten_layers")(**options))


def compiled_loss(model: keras.Model):
    """Returns the object that computes the compiled loss, `None` without a loss.

    `model.loss` is the argument of `compile`, without its weights.
    """
    return attribute(model, "_compile_loss")


def loss_weights(model: keras.Model):
    """Returns the `loss_weights` that a model was compiled with."""
    return attribute(compiled_loss(model), "_user_loss_weights")


def compiled_metrics(model: keras.Model):
    """Returns the metric of all compiled metrics, or `None` without metrics.

    `model.metrics` is a list of all metrics, in which it cannot be identified.
    """
    return attribute(model, "_compile_metrics")


def user_metrics(model: keras.Model) -> list:
    """Returns the metrics and weighted metrics that were passed to `compile`.

    `model.metrics` lists metrics only after an evaluation has built them.
    """
    compiled = compiled_metrics(model)
    if compiled is None:
        return []
    names = "_user_metrics", "_user_weighted_metrics"
    metrics = keras.tree.flatten([attribute(compiled, name) for name in names])
    return [metric for metric in metrics if metric is not None]


def prefixed_metrics(metrics, weighted_metrics, prefix: str) -> keras.metrics.Metric:
    """Returns one metric that computes metrics in the way of a compiled model.

    Only a private class resolves names such as "accuracy" from the shape of labels.

    Args:
        metrics: Same as in `keras.Model.compile`.
        weighted_metrics: Same as in `keras.Model.compile`.
        prefix: String that the names in its result start with.
    """
    try:
        from keras.src.trainers.compile_utils import CompileMetrics
    except ImportError:
        raise missing("keras.src.trainers.compile_utils.CompileMetrics") from None

    class PrefixedMetrics(CompileMetrics):
        def result(self):
            return {f"{prefix}{key}": value for key, value in super().result().items()}

    return PrefixedMetrics(metrics, weighted_metrics)


def unscale_loss(loss):
    """Returns a loss without the factor for the replicas of a distribution strategy.

    Keras multiplies losses by this factor on TensorFlow, and removes it for metrics.
    """
    try:
        from keras.src.losses.loss import unscale_loss_for_distribution
    except ImportError:
        raise missing("keras.src.losses.loss.unscale_loss_for_distribution") from None
    return unscale_loss_for_distribution(loss)


def operation_of(tensor: keras.KerasTensor) -> tuple:
    """Returns the operation that computes a symbolic tensor, and its input tensors.

    Both are empty if the tensor is an input of its graph: `None` and an empty list.
    The public attributes of a model list its layers, but not how they are connected.
    """
    history = attribute(tensor, "_keras_history")
    operation = attribute(history, "operation")
    if operation is None:
        return None, []
    node = attribute(operation, "_inbound_nodes")[attribute(history, "node_index")]
    return operation, attribute(node, "input_tensors")


def tensorflow_gradient_registry() -> dict:
    """Returns the registry in which TensorFlow keeps custom gradients.

    There is no public way to remove entries.
    """
    try:
        from tensorflow.python.framework import ops
    except ImportError:
        raise missing("tensorflow.python.framework.ops") from None
    registry = attribute(ops, "gradient_registry")
    return attribute(registry, "_registry")
