"""Functions that use unstable or private APIs of TensorFlow and PyTorch.

The functions follow the same conventions as those in `keras_internals`.
"""

from .keras_internals import attribute, missing


def tensorflow_gradient_registry() -> dict:
    """Returns the registry in which TensorFlow keeps custom gradients.

    TensorFlow has no public API for removing entries from this registry.
    """
    try:
        from tensorflow.python.framework import ops
    except ImportError:
        raise missing("tensorflow.python.framework.ops") from None
    registry = attribute(ops, "gradient_registry")
    return attribute(registry, "_registry")


def spec_of_replica(spec):
    """Returns the type of the values in each replica of a `tf.distribute` strategy.

    TensorFlow has no public API for reading it from the type of a distributed value.

    Args:
        spec: Type of a distributed value. A type that is the same on all replicas is
            returned unchanged.
    """
    try:
        from tensorflow.python.distribute.values import PerReplicaSpec
    except ImportError:
        raise missing("tensorflow.python.distribute.values.PerReplicaSpec") from None
    if not isinstance(spec, PerReplicaSpec):
        return spec
    first, *_ = attribute(spec, "_value_specs")
    return first


def torch_norms(tensors: list, order: float) -> list:
    """Returns a list with the norm of each PyTorch tensor, computed in a single call.

    The public functions of PyTorch require a separate call for each tensor.
    """
    import torch

    return attribute(torch, "_foreach_norm", torch)(tensors, ord=order)
