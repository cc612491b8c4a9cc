"""The Gaussian negative log-likelihood, a loss for regression with learned noise."""

import math

import keras
from keras import ops

# Corresponds to a standard deviation of 1e-13. With a much smaller standard deviation,
# the product of a squared error and the inverse variance would overflow in float32.
MINIMUM_LOG_VARIANCE = -60.0


@keras.saving.register_keras_serializable(package="kerascope")
class GaussianNLL(keras.losses.Loss):
    """Computes the Gaussian negative log-likelihood of the targets.

    The model predicts the mean `m` and the log-variance `v` of each target `y`. The
    loss is the negative logarithm of the normal density,
    `(v + (y - m)**2 / exp(v) + log(2 pi)) / 2`, averaged over the targets of an
    example. The constant term is included, so that the loss can be compared with the
    negative log-likelihood under other densities. The loss is negative where the
    density exceeds one.

    Source: Nix & Weigend, "Estimating the Mean and Variance of the Target Probability
    Distribution" (1994), equation 4.

    Args:
        reduction: As in `keras.losses.Loss`. Defaults to `"sum_over_batch_size"`.
        name: Name of the loss. Defaults to `"gaussian_nll"`.
        dtype: As in `keras.losses.Loss`. Defaults to `None`: float32, even if the
            predictions are in half precision.

    Call arguments:
        y_true: Targets of shape `(batch, ..., targets)`, or `(batch, ...)` for a
            single target.
        y_pred: Tensor of shape `(batch, ..., 2 * targets)`: all means, followed by as
            many log-variances. Log-variances below -60 are clipped to -60.

    Raises:
        ValueError: If the shapes are incompatible.

    Example:

    >>> from zoo.losses import GaussianNLL
    >>> y, loss = np.array([[3.0]]), GaussianNLL()
    >>> round(float(loss(y, np.array([[3.0, 0.0]]))), 4)  # log(2 pi) / 2
    0.9189
    >>> off_by_a_deviation = np.array([[1.0, np.log(4.0)]])
    >>> round(float(loss(y, off_by_a_deviation)), 4)
    2.1121
    """

    def __init__(
        self,
        *,
        reduction: str | None = "sum_over_batch_size",
        name: str = "gaussian_nll",
        dtype=None,
    ):
        super().__init__(name=name, reduction=reduction, dtype=dtype)

    def call(self, y_true, y_pred):
        if len(y_true.shape) == len(y_pred.shape) - 1:
            y_true = ops.expand_dims(y_true, axis=-1)
        targets = y_true.shape[-1] if len(y_true.shape) == len(y_pred.shape) else None
        if targets is None or y_pred.shape[-1] != 2 * targets:
            raise ValueError(
                "Invalid shape of y_pred. Expected means and log-variances in its last "
                f"axis, one of each per target. Received: y_pred of shape "
                f"{tuple(y_pred.shape)} for y_true of shape {tuple(y_true.shape)}"
            )
        mean, log_variance = ops.split(y_pred, 2, axis=-1)
        log_variance = ops.maximum(log_variance, MINIMUM_LOG_VARIANCE)
        # Scale the error before squaring it, because the inverse variance would
        # overflow earlier than its square root.
        error = (y_true - mean) * ops.exp(-log_variance / 2)
        density = log_variance + ops.square(error) + math.log(2 * math.pi)
        return ops.mean(density, axis=-1) / 2
