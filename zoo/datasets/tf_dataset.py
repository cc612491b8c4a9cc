"""Batches of TFDS examples for `fit`, as `tf.data` pipelines.

TensorFlow is imported when a function is called, so that `zoo.datasets` imports
without it.
"""

from .arrays import Arrays
from .order import Order


def in_memory(arrays: Arrays, batch_size: int, order: Order | None = None):
    """Returns a dataset of batches of arrays that are held in memory.

    Args:
        arrays: The examples, an `Arrays`.
        batch_size: Integer >= 1.
        order: The `Order` that shuffles the examples anew in every iteration.
            Defaults to `None`: they keep the order in which they are stored.

    Returns:
        A `tf.data.Dataset` of `(x, y)` with known cardinality, prefetched.
    """
    import tensorflow as tf

    size = len(arrays)
    num_batches = -(-size // batch_size)
    specs = [_spec(values) for values in arrays.batch(slice(0, 1))]

    def batch(rows):
        x, y = tf.numpy_function(arrays.batch, [rows], [spec.dtype for spec in specs])
        return tf.ensure_shape(x, specs[0].shape), tf.ensure_shape(y, specs[1].shape)

    def epoch(rows):
        return tf.data.Dataset.range(num_batches).map(
            lambda i: batch(rows[i * batch_size : (i + 1) * batch_size])
        )

    if order is None:
        dataset = epoch(tf.range(size, dtype=tf.int64))
    else:
        dataset = _per_iteration(
            lambda: order.next_permutation(size), shape=(size,)
        ).flat_map(epoch)
    return _finish(dataset, num_batches, order)


def streamed(examples, size: int, batch_size: int, scale=None, order=None, buffer=0):
    """Returns a dataset of batches of examples that are read anew in every epoch.

    Args:
        examples: `tf.data.Dataset` of single `(x, y)`.
        size: Number of examples.
        batch_size: Integer >= 1.
        scale: Factor on `x`, as in `Arrays`. Defaults to `None`.
        order: The `Order` that seeds a shuffle buffer anew in every iteration.
            Defaults to `None`: no shuffling.
        buffer: Number of examples in the shuffle buffer.

    Returns:
        A `tf.data.Dataset` of `(x, y)` with known cardinality, prefetched.
    """
    import tensorflow as tf

    def shuffled(seed):
        # Here, inside a traced function, this sets the seed of its graph alone. A
        # shuffle mixes it in, and without this line it would be the global seed. (Not
        # 0: then TensorFlow would ask whether `seed`, a tensor, is 0 as well.)
        tf.random.set_seed(1)
        return examples.shuffle(buffer, seed=seed, reshuffle_each_iteration=False)

    def scaled(x, y):
        return tf.cast(x, tf.float32) * tf.constant(scale, tf.float32), y

    dataset = examples
    if order is not None:
        seeds = _per_iteration(order.next_shuffle_seed, shape=())
        dataset = seeds.flat_map(shuffled)
    dataset = dataset.batch(batch_size)
    if scale is not None:
        dataset = dataset.map(scaled, num_parallel_calls=tf.data.AUTOTUNE)
    return _finish(dataset, -(-size // batch_size), order)


def _spec(values):
    """What a batch of these values is, of any length."""
    import tensorflow as tf

    return tf.TensorSpec((None, *values.shape[1:]), values.dtype)


def _per_iteration(function, shape):
    """A dataset of one element: what `function` returns when an iterator opens."""
    import tensorflow as tf

    def call(_):
        value = tf.numpy_function(lambda: function(), [], tf.int64)
        value.set_shape(shape)
        return value

    return tf.data.Dataset.from_tensors(0).map(call)


def _finish(dataset, num_batches: int, order: Order | None):
    import tensorflow as tf

    dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_batches))
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    dataset.order = order  # for who wants to set it, given the dataset only
    return dataset
