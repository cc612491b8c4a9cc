"""Models whose members share weights, but are trained on losses of their own."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerascope")
class MemberAverage(keras.layers.Layer):
    """Averages the outputs of the members of an ensemble during inference.

    During training, the outputs of all members are returned, for their losses.

    Args:
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Float tensor of shape `(batch, ensemble_size, outputs)`.
        training: Whether to return the outputs of all members. Defaults to `False`.
    """

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.input_spec = keras.layers.InputSpec(ndim=3)

    def call(self, inputs, training=False):
        return inputs if training else ops.mean(inputs, axis=1)

    def compute_output_shape(self, input_shape):
        return (input_shape[0], input_shape[2])  # that of the predictions


@keras.saving.register_keras_serializable(package="kerascope")
class MemberModel(keras.Model):
    """A functional model that ends in `MemberAverage`.

    During training, the loss is the mean of the losses of all members. The metrics, and
    the loss during evaluation, are those of the average prediction.
    """

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        compute = super().compute_loss
        outputs = [y_pred]
        if _has_members(y_pred):
            outputs = ops.unstack(y_pred, axis=1)
        # Each of these includes the losses of layers and regularizers.
        losses = [compute(x, y, one, sample_weight, training) for one in outputs]
        return sum(losses) / len(losses)

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        if _has_members(y_pred):
            y_pred = ops.mean(y_pred, axis=1)
        return super().compute_metrics(x, y, y_pred, sample_weight)


def _has_members(y_pred) -> bool:
    return len(y_pred.shape) == 3
