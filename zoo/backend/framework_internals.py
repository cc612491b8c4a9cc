"""Names that TensorFlow and PyTorch do not promise to keep; see `keras_internals`."""

from .keras_internals import attribute, missing


def tensorflow_gradient_registry() -> dict:
    """Returns the registry in which TensorFlow keeps custom gradients.

    TensorFlow has no public API for removing entries.
    """
    try:
        from tensorflow.python.framework import ops
    except ImportError:
        raise missing("tensorflow.python.framework.ops") from None
    registry = attribute(ops, "gradient_registry")
    return attribute(registry, "_registry")


def torch_norms(tensors: list, order: float) -> list:
    """Returns the norms of PyTorch tensors.

    Public functions require a separate call for each tensor.
    """
    import torch

    return attribute(torch, "_foreach_norm", torch)(tensors, ord=order)
