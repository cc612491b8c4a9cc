"""How long the sequences are that a mask tells of."""

import keras


def sequence_lengths(mask):
    """Returns how many steps each sequence has up to the last one that counts.

    Args:
        mask: Boolean tensor of shape `(batch, time)`, true where a step counts.

    Returns:
        int32 tensor of shape `(batch, 1)`. A sequence with no step that counts gets
        length 1, so that its last step and its mean are defined.

    Example:

    >>> mask = np.array([[True, True, False], [False, False, False]])
    >>> keras.ops.convert_to_numpy(sequence_lengths(mask)).tolist()
    [[2], [1]]
    """
    mask = keras.ops.cast(mask, "int32")
    ends = mask * keras.ops.arange(1, keras.ops.shape(mask)[1] + 1, dtype="int32")
    return keras.ops.maximum(keras.ops.max(ends, axis=1, keepdims=True), 1)
