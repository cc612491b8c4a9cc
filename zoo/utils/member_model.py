"""Models whose members share weights, but are trained on losses of their own."""

import keras
from keras import ops


@keras.saving.register_keras_serializable(package="kerascope")
class MemberModel(keras.Model):
    """A functional model that ends in `zoo.layers.MemberAverage`.

    During training, the loss is the mean of the losses of all members. The metrics, and
    the loss during evaluation, are those of the average prediction.
    """

    def compute_loss(
        self, x=None, y=None, y_pred=None, sample_weight=None, training=True
    ):
        if _has_members(y_pred):
            size = y_pred.shape[1]
            y_pred = ops.reshape(y_pred, (-1, y_pred.shape[2]))
            y, sample_weight = (
                None if values is None else ops.repeat(values, size, axis=0)
                for values in (y, sample_weight)
            )
        return super().compute_loss(
            x=x, y=y, y_pred=y_pred, sample_weight=sample_weight, training=training
        )

    def compute_metrics(self, x, y, y_pred, sample_weight=None):
        if _has_members(y_pred):
            y_pred = ops.mean(y_pred, axis=1)
        return super().compute_metrics(x, y, y_pred, sample_weight)


def _has_members(y_pred) -> bool:
    return len(y_pred.shape) == 3
