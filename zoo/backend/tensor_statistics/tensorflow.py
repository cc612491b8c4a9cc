"""TensorFlow implementation of `zoo.backend.tensor_statistics`."""

import tensorflow as tf

from .exponents import NUM_BINS


def densify(gradient):
    return tf.convert_to_tensor(gradient)


def operands(tensors: list, minus: list | None = None) -> list:
    if minus is not None:
        tensors = [a - b for a, b in zip(tensors, minus, strict=True)]
    return [tf.cast(tensor, tf.float32) for tensor in tensors]


def norms(operands: list):
    return tf.sqrt(2 * tf.stack([tf.nn.l2_loss(tensor) for tensor in operands]))


def largest(operands: list):
    return tf.stack([tf.reduce_max(tf.abs(tensor)) for tensor in operands])


def count_exponents(operands: list):
    return tf.stack([_count_exponents(tensor) for tensor in operands])


def _count_exponents(tensor):
    bits = tf.bitcast(tf.reshape(tensor, [-1]), tf.uint32)
    exponents = tf.bitwise.right_shift(bits, tf.constant(23, tf.uint32))
    return tf.raw_ops.DenseBincount(
        input=tf.bitcast(exponents, tf.int32),
        size=NUM_BINS,
        weights=tf.constant([], tf.int32),
    )
