"""Checks for properties of a `tf.data.Dataset`, without importing TensorFlow."""

import sys


def is_tf_dataset(x) -> bool:
    """Returns whether `x` is a `tf.data.Dataset`, without importing TensorFlow."""
    tensorflow = sys.modules.get("tensorflow")
    return tensorflow is not None and isinstance(x, tensorflow.data.Dataset)


def is_endless(dataset) -> bool:
    """Returns whether a `tf.data.Dataset` is known to repeat forever."""
    return int(dataset.cardinality()) == -1  # tf.data.INFINITE_CARDINALITY


def is_of_unknown_length(dataset) -> bool:
    """Returns whether the length of a `tf.data.Dataset` is unknown to TensorFlow."""
    return int(dataset.cardinality()) == -2  # tf.data.UNKNOWN_CARDINALITY
