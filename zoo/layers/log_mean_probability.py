"""The average of classifiers, as logits."""

import math

import keras

from ..utils.arguments import check_choice, invalid_argument

ops = keras.ops


@keras.saving.register_keras_serializable(package="kerascope")
class LogMeanProbability(keras.layers.Layer):
    """Averages the probabilities of several classifiers, from logits to logits.

    The mean of probabilities is that of a uniform mixture, as in Lakshminarayanan et
    al. (2017, "Simple and Scalable Predictive Uncertainty Estimation using Deep
    Ensembles", section 2.4); the mean of logits would be a geometric one. All is
    computed from logarithms of probabilities, so that nothing over- or underflows.

    Args:
        activation: "softmax", for classes along the last axis: the result is the
            logarithm of the mean probability, whose softmax is that mean; or
            "sigmoid", for labels of their own: the result is log(p / (1 - p)) of
            their mean probability p. Defaults to `"softmax"`.
        **kwargs: Arguments of `keras.layers.Layer`, as `name` and `dtype`.

    Input: a list of tensors of logits, of one shape `(batch, ..., num_outputs)`.

    Output: a tensor of that shape.

    Raises:
        ValueError: If `activation` is none of these, or the layer is called on
            something else than a list of tensors.

    Example:

    >>> from zoo.layers import LogMeanProbability
    >>> one, other = np.log([[0.5, 0.5]]), np.log([[0.1, 0.9]])
    >>> (logits,) = keras.ops.convert_to_numpy(LogMeanProbability()([one, other]))
    >>> [round(float(probability), 3) for probability in np.exp(logits)]
    [0.3, 0.7]
    """

    def __init__(self, activation: str = "softmax", **kwargs):
        super().__init__(**kwargs)
        self.activation = check_choice("activation", activation, ("softmax", "sigmoid"))
        self.supports_masking = True

    def build(self, input_shape):
        is_list = input_shape and not isinstance(input_shape[0], int | None)
        if not is_list or len({tuple(shape) for shape in input_shape}) > 1:
            raise invalid_argument(
                "inputs", "a list of tensors of one shape", input_shape
            )

    def call(self, inputs):
        logits = ops.stack(inputs)
        if self.activation == "softmax":
            return _log_mean_exp(ops.log_softmax(logits, axis=-1))
        log_odds = (ops.log_sigmoid(logits), ops.log_sigmoid(-logits))
        return ops.subtract(*map(_log_mean_exp, log_odds))

    def compute_output_shape(self, input_shape):
        return input_shape[0]

    def compute_mask(self, inputs, previous_mask):
        return None if previous_mask is None else previous_mask[0]

    def get_config(self):
        return {**super().get_config(), "activation": self.activation}


def _log_mean_exp(x):
    return ops.logsumexp(x, axis=0) - math.log(x.shape[0])
