"""A layer that averages the predictions of classifiers."""

import math

import keras

from ..utils.arguments import check_choice, invalid_argument

ops = keras.ops


@keras.saving.register_keras_serializable(package="kerascope")
class LogMeanProbability(keras.layers.Layer):
    """Averages the probabilities that several classifiers predict.

    The inputs and the output are logits. The mean is the probability under a uniform
    mixture of the classifiers, as in Lakshminarayanan et al. (2017, "Simple and
    Scalable Predictive Uncertainty Estimation using Deep Ensembles", section 2.4).
    Averaging the logits would give a geometric mean instead. All computations use
    log-probabilities to avoid overflow and underflow.

    Args:
        activation: The function that converts the logits to probabilities. Defaults to
            `"softmax"`.

            - "softmax", for classes along the last axis: The output is the logarithm
              of the mean probabilities; the softmax of the output is therefore equal
              to the mean probabilities.
            - "sigmoid", for independent labels: The output is log(p / (1 - p)), where
              p is the mean probability of a label.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name` and `dtype`.

    Call arguments:
        inputs: List of tensors of logits, all of shape `(batch, ..., num_outputs)`.

    Returns:
        A tensor of logits of shape `(batch, ..., num_outputs)`.

    Raises:
        ValueError: If `activation` is invalid, or the input is not a list of tensors
            of the same shape.

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
                "inputs", "a list of tensors of the same shape", input_shape
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
