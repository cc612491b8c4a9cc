"""A layer that reverses padded sequences."""

import keras

from .sequence_lengths import sequence_lengths


@keras.saving.register_keras_serializable(package="kerascope")
class ReverseSequence(keras.layers.Layer):
    """Reverses each sequence, but keeps its padding on the right.

    An LSTM layer that is applied to the result reads each sequence in reverse. The LSTM
    layer needs no mask, because the padding still comes last. Applying
    `ReverseSequence` twice restores the inputs.

    Args:
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Tensor of shape `(batch, time, features)`.
        mask: Boolean tensor of shape `(batch, time)`, `False` at the padding to the
            right of each sequence. Defaults to `None`: the sequences have no padding.

    Example:

    >>> from zoo.layers import ReverseSequence
    >>> x = np.array([[[1.0], [2.0], [3.0], [0.0]]])
    >>> reversed_x = ReverseSequence()(x, mask=x[:, :, 0] != 0)
    >>> keras.ops.convert_to_numpy(reversed_x)[0, :, 0].tolist()
    [3.0, 2.0, 1.0, 0.0]
    """

    def call(self, inputs, mask=None):
        if mask is None:
            return keras.ops.flip(inputs, axis=1)
        batch, time, size = keras.ops.shape(inputs)
        steps = keras.ops.arange(time, dtype="int32")
        mirrored = sequence_lengths(mask) - 1 - steps
        order = keras.ops.where(mirrored >= 0, mirrored, steps)
        # Index into all sequences at once, because PyTorch cannot export
        # `take_along_axis` to ONNX.
        first = time * keras.ops.arange(batch, dtype="int32")
        rows = keras.ops.reshape(order + first[:, None], (-1,))
        flat = keras.ops.reshape(inputs, (-1, size))
        return keras.ops.reshape(keras.ops.take(flat, rows, axis=0), (-1, time, size))

    def compute_mask(self, inputs, previous_mask=None):
        return None

    def compute_output_shape(self, input_shape):
        return input_shape
