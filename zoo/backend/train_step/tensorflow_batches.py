"""Takes batches from an iterator before a TensorFlow train function reads them."""

import itertools

import tensorflow as tf

from ..framework_internals import spec_of_replica
from .examples import CannotSample

# Optimizing a dataset takes longer than reading a few elements.
NOT_OPTIMIZED = tf.data.Options()
NOT_OPTIMIZED.autotune.enabled = False
NOT_OPTIMIZED.experimental_optimization.apply_default_optimizations = False


def take_next(iterator, strategy, count: int) -> tuple:
    """Takes the next elements from an iterator, and creates a new iterator of them.

    Both iterators have the same type, so a compiled train function can be called with
    either of them. It is not traced again.

    Args:
        iterator: Iterator with which a train function is called.
        strategy: Distribution strategy of the model.
        count: Number of elements to take. Fewer are taken at the end of the data.

    Returns:
        The new iterator, and a list of its elements. If there are several replicas,
        the list contains the elements of the first replica. At the end of the data, the
        iterator itself and an empty list are returned.

    Raises:
        CannotSample: If no iterator of the same type can be created.
    """
    is_mirrored = isinstance(strategy, tf.distribute.MirroredStrategy)
    is_distributed = isinstance(iterator, tf.distribute.DistributedIterator)
    if not isinstance(iterator, tf.data.Iterator) and not (
        is_distributed and is_mirrored
    ):
        raise CannotSample(
            f"It is read from an object of type `{type(iterator).__name__}`, with the "
            f"distribution strategy `{type(strategy).__name__}`."
        )
    elements = list(itertools.islice(iterator, count))
    if not elements:
        return iterator, []
    if not is_distributed:
        dataset = _dataset_of(elements, iterator.element_spec)
        return iter(dataset.with_options(NOT_OPTIMIZED)), elements
    num_replicas = strategy.num_replicas_in_sync
    parts = [
        _part(element, strategy, replica)
        for element in elements
        for replica in range(num_replicas)
    ]
    spec = tf.nest.map_structure(spec_of_replica, iterator.element_spec)
    dataset = _dataset_of(parts, spec).with_options(NOT_OPTIMIZED)
    # The elements of this dataset are passed to the replicas in turn.
    distributed = strategy.distribute_datasets_from_function(lambda context: dataset)
    return iter(distributed), parts[::num_replicas]


def _part(element, strategy, replica: int):
    """Returns the part of a distributed element that belongs to one replica."""
    return tf.nest.map_structure(
        lambda value: strategy.experimental_local_results(value)[replica], element
    )


def _dataset_of(elements: list, spec):
    """Returns a dataset of the given elements, which may have different shapes.

    Args:
        elements: List of structures of tensors; not empty.
        spec: Type of the elements. It determines the type of the dataset's iterators.
    """
    if len(elements) > 1:  # halved, because the iterators are nested as deep
        middle = len(elements) // 2
        first, second = elements[:middle], elements[middle:]
        return _dataset_of(first, spec).concatenate(_dataset_of(second, spec))
    # `from_tensors` would use the exact shapes of the element as its type.
    (element,) = elements
    variant = tf.data.experimental.to_variant(tf.data.Dataset.from_tensors(element))
    return tf.data.experimental.from_variant(variant, spec)
