"""A dense layer that learns its activation function."""

import keras
from keras import ops

from ..utils import builders
from ..utils.arguments import check_integer
from ..utils.initializers import maxout_initializer


@keras.saving.register_keras_serializable(package="kerascope")
class Maxout(keras.layers.Layer):
    """Outputs the maximum of several linear functions of the inputs.

    Each unit has `pieces` kernels and biases, so it learns a convex, piecewise linear
    activation function. Two pieces suffice to represent ReLU or the absolute value. No
    other activation is applied.

    Source: Goodfellow et al., "Maxout Networks" (2013), section 3.

    Args:
        units: Integer >= 1, the size of the last axis of the output.
        pieces: Integer >= 1, the number of linear functions per unit. With 1, the layer
            is linear. Defaults to `2`.
        kernel_initializer: Keras initializer. Defaults to `"auto"`: a normal
            distribution that preserves the second moment of the signals through the
            layer, as He initialization does for ReLU. Biases start at zero.
        kernel_regularizer: Keras regularizer. Defaults to `None`.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Float tensor of shape `(batch, ..., features)`.

    Returns:
        A tensor of shape `(batch, ..., units)`. The layer has
        `(features + 1) * units * pieces` parameters.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> from zoo.layers import Maxout
    >>> layer = Maxout(4, pieces=3)
    >>> layer(np.ones((2, 5))).shape == (2, 4)
    True
    >>> layer.count_params() == (5 + 1) * 4 * 3
    True
    """

    def __init__(
        self,
        units: int,
        pieces: int = 2,
        *,
        kernel_initializer="auto",
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = check_integer("units", units, minimum=1)
        self.pieces = check_integer("pieces", pieces, minimum=1)
        if isinstance(kernel_initializer, str) and kernel_initializer == "auto":
            kernel_initializer = maxout_initializer(self.pieces)
        self.kernel_initializer = builders.get_object(
            "kernel_initializer",
            keras.initializers.get,
            kernel_initializer,
            "or 'auto'",
            dir(keras.initializers),
        )
        self.kernel_regularizer = builders.get_regularizer(kernel_regularizer)
        self.input_spec = keras.layers.InputSpec(min_ndim=2)
        self.supports_masking = True

    def build(self, input_shape):
        size = self.units * self.pieces
        self.kernel = self.add_weight(
            name="kernel",
            shape=(input_shape[-1], size),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        self.bias = self.add_weight(name="bias", shape=(size,), initializer="zeros")
        self.input_spec = keras.layers.InputSpec(min_ndim=2, axes={-1: input_shape[-1]})

    def call(self, inputs):
        x = ops.matmul(inputs, self.kernel) + self.bias
        shape = (*ops.shape(x)[:-1], self.units, self.pieces)
        return ops.max(ops.reshape(x, shape), axis=-1)

    def compute_output_shape(self, input_shape):
        return (*input_shape[:-1], self.units)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "units": self.units,
            "pieces": self.pieces,
            "kernel_initializer": serialize(self.kernel_initializer),
            "kernel_regularizer": serialize(self.kernel_regularizer),
        }
