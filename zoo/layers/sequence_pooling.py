"""A layer that pools the time steps of padded sequences."""

import keras

from ..utils.arguments import check_choice
from .sequence_lengths import sequence_lengths

POOLINGS = ("last", "mean", "max")


@keras.saving.register_keras_serializable(package="kerascope")
class SequencePooling(keras.layers.Layer):
    """Reduces each sequence to its last step, or to the mean or maximum of its steps.

    Padding to the right of a sequence is ignored. A sequence that consists only of
    padding is reduced to its first step.

    Args:
        mode: "last", "mean" or "max". Defaults to `"last"`.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Float tensor of shape `(batch, time, features)`.
        mask: Boolean tensor of shape `(batch, time)`, `False` at the padding to the
            right of each sequence. Defaults to `None`: the sequences have no padding.

    Returns:
        A tensor of shape `(batch, features)`.

    Raises:
        ValueError: If `mode` is invalid.

    Example:

    >>> from zoo.layers import SequencePooling
    >>> x = np.array([[[1.0], [3.0], [9.0]]])
    >>> mask = np.array([[True, True, False]])
    >>> [float(SequencePooling(mode)(x, mask=mask)[0, 0]) for mode in ("last", "mean")]
    [3.0, 2.0]
    """

    def __init__(self, mode: str = "last", **kwargs):
        super().__init__(**kwargs)
        self.mode = check_choice("mode", mode, POOLINGS)

    def call(self, inputs, mask=None):
        if mask is None:
            if self.mode == "last":
                return inputs[:, -1]
            pool = keras.ops.mean if self.mode == "mean" else keras.ops.max
            return pool(inputs, axis=1)
        lengths = sequence_lengths(mask)
        steps = keras.ops.arange(keras.ops.shape(mask)[1], dtype="int32")
        if self.mode == "last":
            return _sum_where(steps == lengths - 1, inputs)
        counts = steps < lengths
        if self.mode == "mean":
            return _sum_where(counts, inputs) / keras.ops.cast(lengths, inputs.dtype)
        # Replace the padding with the first step, which every maximum includes anyway.
        # With -inf instead, an exported ONNX model would compute 0 * -inf, and every
        # maximum would be NaN.
        first = inputs[:, :1]
        return keras.ops.max(keras.ops.where(counts[:, :, None], inputs, first), axis=1)

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[2])

    def get_config(self):
        return {**super().get_config(), "mode": self.mode}


def _sum_where(condition, inputs):
    zeros = keras.ops.zeros_like(inputs)
    return keras.ops.sum(keras.ops.where(condition[:, :, None], inputs, zeros), axis=1)
