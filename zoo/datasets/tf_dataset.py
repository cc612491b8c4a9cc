"""`tf.data` pipelines that batch TFDS examples for `fit`.

The functions import TensorFlow only when they are called, so that `zoo.datasets` can be
imported even if TensorFlow is not installed.
"""

from .arrays import Arrays
from .order import Order
from .origin import Origin

CHECKED = 64  # number of examples that tell datasets apart


def in_memory(arrays: Arrays, batch_size: int, order: Order | None = None):
    """Returns a dataset of batches that are read from arrays in memory.

    Args:
        arrays: `Arrays` that contain the examples.
        batch_size: Integer >= 1.
        order: `Order` that reshuffles the examples in every iteration. Defaults to
            `None`: the examples stay in their stored order.

    Returns:
        A `tf.data.Dataset` of batches `(x, y)`, with prefetching and a known
        cardinality.
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
    rows = slice(0, CHECKED)
    origin = Origin(order, lambda: (arrays.x[rows], arrays.y[rows]))
    # There is nothing to tune here, and with autotuning, the end of an iteration may
    # wait for the tuner, which sleeps for up to half of the time since the beginning
    # (TensorFlow 2.21).
    options = tf.data.Options()
    options.autotune.enabled = False
    return _finish(dataset.with_options(options), num_batches, origin)


def streamed(examples, size: int, batch_size: int, scale=None, order=None, buffer=0):
    """Returns a dataset of batches whose examples are read again in every epoch.

    Args:
        examples: `tf.data.Dataset` of unbatched examples `(x, y)`.
        size: Number of examples.
        batch_size: Integer >= 1.
        scale: Factor by which `x` is multiplied, as in `Arrays`. Defaults to `None`.
        order: `Order` that provides a new seed for the shuffle buffer in every
            iteration. Defaults to `None`: no shuffling.
        buffer: Number of examples in the shuffle buffer, which is used only with
            `order`. Defaults to `0`.

    Returns:
        A `tf.data.Dataset` of batches `(x, y)`, with prefetching and a known
        cardinality.
    """
    import tensorflow as tf

    def shuffled(seed):
        # Inside a traced function, this call sets only the seed of the function's
        # graph. `shuffle` combines the graph seed with `seed`. Without a graph seed,
        # `shuffle` would use the global seed. The graph seed must not be 0, because
        # TensorFlow would then also compare the tensor `seed` with 0.
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

    def first_examples():
        return (
            part for each in examples.take(CHECKED).as_numpy_iterator() for part in each
        )

    return _finish(dataset, -(-size // batch_size), Origin(order, first_examples))


def _spec(values):
    """Returns the `tf.TensorSpec` of a batch, with an unspecified batch size."""
    import tensorflow as tf

    return tf.TensorSpec((None, *values.shape[1:]), values.dtype)


def _per_iteration(function, shape):
    """Returns a one-element dataset that calls `function` once per iteration."""
    import tensorflow as tf

    def call(_):
        value = tf.numpy_function(lambda: function(), [], tf.int64)
        value.set_shape(shape)
        return value

    return tf.data.Dataset.from_tensors(0).map(call)


def _finish(dataset, num_batches: int, origin: Origin):
    import tensorflow as tf

    dataset = dataset.apply(tf.data.experimental.assert_cardinality(num_batches))
    dataset = dataset.prefetch(tf.data.AUTOTUNE)
    dataset._kerascope_origin = origin
    return dataset
