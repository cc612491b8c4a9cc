"""A layer that averages the predictions of members, except during training."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerascope")
class MemberAverage(keras.layers.Layer):
    """Averages the outputs of the members of an ensemble during inference.

    During training, the outputs of all members are returned, so that each can be
    trained on its own loss. This is the last layer of the models that
    `zoo.mlp(ensemble_size=...)` builds, which compute these losses.

    Args:
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Float tensor of shape `(batch, ensemble_size, outputs)`.
        training: Whether to return the outputs of all members. Defaults to `False`.

    Returns:
        A tensor of shape `(batch, outputs)`, or the inputs during training.

    Example:

    >>> from zoo.layers import MemberAverage
    >>> x = np.arange(6.0).reshape(1, 3, 2)
    >>> keras.ops.convert_to_numpy(MemberAverage()(x)).tolist()
    [[2.0, 3.0]]
    >>> MemberAverage()(x, training=True).shape == (1, 3, 2)
    True
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def call(self, inputs, training=False):
        return inputs if training else ops.mean(inputs, axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[2])  # that of the predictions
