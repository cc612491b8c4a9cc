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
