"""Lengths of masked sequences."""

import keras


def sequence_lengths(mask):
    """Returns the length of each sequence, up to and including its last unmasked step.

    Args:
        mask: Boolean tensor of shape `(batch, time)`, `False` at masked steps.

    Returns:
        An int32 tensor of shape `(batch, 1)`. A fully masked sequence has length 1, so
        that its last step and its mean are defined.

    Example:

    >>> mask = np.array([[True, True, False], [False, False, False]])
    >>> keras.ops.convert_to_numpy(sequence_lengths(mask)).tolist()
    [[2], [1]]
    """
    mask = keras.ops.cast(mask, "int32")
    ends = mask * keras.ops.arange(1, keras.ops.shape(mask)[1] + 1, dtype="int32")
    return keras.ops.maximum(keras.ops.max(ends, axis=1, keepdims=True), 1)
