"""Functions that use unstable or private APIs of TensorFlow, TFDS and PyTorch.

The functions follow the same conventions as those in `keras_internals`.
"""

import contextlib
from collections.abc import Callable, Iterator

from .keras_internals import attribute, missing, patched


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


@contextlib.contextmanager
def checked_downloads(check: Callable[[str], None], timeout: float) -> Iterator[None]:
    """Calls `check(url)` before TFDS downloads a file, and limits how long it waits.

    TFDS tries to connect for some minutes before it gives up, and waits forever for a
    server that stops in the middle of a file. No public setting can change this. The
    default timeout of Python's sockets has no effect, because requests overrides it.

    Args:
        check: Function of a URL that raises an error to stop the download.
        timeout: Seconds without any data after which a download over HTTP fails.
    """
    try:
        from tensorflow_datasets.core.download import downloader
    except ImportError:
        raise missing("tensorflow_datasets.core.download.downloader") from None
    open_url = attribute(downloader, "_open_url")

    def checked(url, **options):
        check(url)
        return open_url(url, timeout=timeout, **options)

    with patched(downloader, _open_url=checked):
        yield


def torch_norms(tensors: list, order: float) -> list:
    """Returns a list with the norm of each PyTorch tensor, computed in a single call.

    The public functions of PyTorch require a separate call for each tensor.
    """
    import torch

    return attribute(torch, "_foreach_norm", torch)(tensors, ord=order)


def is_nondeterministic(dataset) -> bool:
    """Returns whether a `tf.data` pipeline may give its elements in varying orders.

    The inputs of the last transformation are not examined. Transformations that run in
    parallel have their own setting, for which `tf.data` has no public API.
    """
    options = getattr(dataset, "options", None)
    if callable(options) and options().deterministic is False:
        return True
    if "ParallelInterleave" in type(dataset).__name__:  # the only place is its graph
        import tensorflow as tf

        variant = tf.data.experimental.to_variant(dataset)
        graph = tf.compat.v1.GraphDef()
        graph.ParseFromString(
            tf.raw_ops.DatasetToGraphV2(input_dataset=variant).numpy()
        )
        return any(node.attr["deterministic"].s == b"false" for node in graph.node)
    return getattr(dataset, "_deterministic", None) in (False, "false")


def pipeline_parts(dataset) -> tuple[list, list, tuple[int, ...]] | None:
    """Returns what a `tf.data` pipeline consists of, without running it.

    `tf.data` has no public API that returns the transformations of a pipeline.

    Args:
        dataset: Any dataset with an `element_spec`.

    Returns:
        The datasets that the last transformation reads, the functions that it calls,
        and its seeds (empty for a transformation without seeds). The result is `None`
        if the dataset does not show its parts, as is the case for a distributed
        dataset.
    """
    if not (hasattr(dataset, "_inputs") and hasattr(dataset, "_functions")):
        return None
    seeds: tuple[int, ...] = ()
    if hasattr(dataset, "_seed"):
        seeds = int(dataset._seed), int(getattr(dataset, "_seed2", 0))
    return list(dataset._inputs()), list(dataset._functions()), seeds
