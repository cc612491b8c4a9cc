"""A dense layer of several members that share most of their weights."""

from collections.abc import Sequence
from functools import partial

import keras
import numpy as np
from keras import ops

from ..utils import builders
from ..utils.arguments import check_choice, check_integer, invalid_argument


@keras.saving.register_keras_serializable(package="kerascope")
class BatchEnsembleDense(keras.layers.Layer):
    """Applies the dense layers of several members that share one kernel.

    Member `i` computes `((x * r_i) @ kernel) * s_i + bias_i`. The members have vectors
    `r_i` and `s_i` and a bias of their own, which is as if each had the kernel
    multiplied by a matrix of rank 1.

    Source: Wen et al., "BatchEnsemble: An Alternative Approach to Efficient Ensemble
    and Lifelong Learning" (2020), equation 5.

    Args:
        units: Integer >= 1, the size of the last axis of the output.
        ensemble_size: Integer >= 1, the number of members.
        input_scales: Initialization of the vectors `r`. The vectors `s` start as ones.
            Defaults to `"ones"`.

            - "ones": The members start with equal weights.
            - "random_signs": Each entry is 1 or -1.
            - "normal": Each entry has a standard normal distribution.
        column_size: Integer >= 1, the number of successive inputs that come from one
            column of a table and start with the same random scale, or a list with this
            number for each column. Defaults to `1`.
        kernel_initializer: Keras initializer. Defaults to `"glorot_uniform"`. Biases
            start at zero.
        kernel_regularizer: Keras regularizer. Defaults to `None`.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Float tensor of shape `(batch, ensemble_size, features)`, or
            `(batch, features)`: the same for all members.

    Returns:
        A tensor of shape `(batch, ensemble_size, units)`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> from zoo.layers import BatchEnsembleDense
    >>> layer = BatchEnsembleDense(8, 4, input_scales="random_signs")
    >>> layer(np.ones((2, 5))).shape == (2, 4, 8)
    True
    >>> layer.count_params() == 5 * 8 + 4 * (5 + 8 + 8)
    True
    """

    def __init__(
        self,
        units: int,
        ensemble_size: int,
        *,
        input_scales: str = "ones",
        column_size: int | Sequence[int] = 1,
        kernel_initializer="glorot_uniform",
        kernel_regularizer=None,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.units = check_integer("units", units, minimum=1)
        self.ensemble_size = check_integer("ensemble_size", ensemble_size, minimum=1)
        choices = ("ones", "random_signs", "normal")
        self.input_scales = check_choice("input_scales", input_scales, choices)
        self.column_size = _checked(column_size)
        self.kernel_initializer = builders.get_object(
            "kernel_initializer",
            keras.initializers.get,
            kernel_initializer,
            "or None",
            dir(keras.initializers),
        )
        self.kernel_regularizer = builders.get_regularizer(kernel_regularizer)

    def build(self, input_shape):
        features = input_shape[-1]
        members = tuple(input_shape[1:-1])
        sizes = self.column_size
        fitting = "the number of features in `column_size`"
        if isinstance(sizes, int):
            fitting = f"a multiple of {sizes} features"
            sizes = [sizes] * (features // sizes)
        if members not in ((), (self.ensemble_size,)) or sum(sizes) != features:
            expected = (
                f"shape (batch, {self.ensemble_size}, features) or (batch, features), "
                f"with {fitting}"
            )
            raise invalid_argument("inputs", expected, tuple(input_shape))
        self.kernel = self.add_weight(
            name="kernel",
            shape=(features, self.units),
            initializer=self.kernel_initializer,
            regularizer=self.kernel_regularizer,
        )
        self.r = self.add_weight(
            name="input_scales",
            shape=(self.ensemble_size, features),
            initializer=partial(self._initial_scales, sizes),
        )
        self.s, self.bias = (
            self.add_weight(
                name=name,
                shape=(self.ensemble_size, self.units),
                initializer=initializer,
            )
            for name, initializer in (("output_scales", "ones"), ("bias", "zeros"))
        )

    def _initial_scales(self, sizes, shape, dtype=None):
        if self.input_scales == "ones":
            return ops.ones(shape, dtype)
        scales = keras.random.normal((shape[0], len(sizes)))
        if self.input_scales == "random_signs":
            scales = ops.where(scales < 0, -1.0, 1.0)
        return ops.cast(ops.repeat(scales, np.array(sizes), axis=-1), dtype)

    def call(self, inputs):
        x = inputs if len(inputs.shape) == 3 else ops.expand_dims(inputs, axis=1)
        return ops.matmul(x * self.r, self.kernel) * self.s + self.bias

    def compute_output_shape(self, input_shape):
        return (input_shape[0], self.ensemble_size, self.units)

    def get_config(self):
        serialize = keras.saving.serialize_keras_object
        return {
            **super().get_config(),
            "units": self.units,
            "ensemble_size": self.ensemble_size,
            "input_scales": self.input_scales,
            "column_size": self.column_size,
            "kernel_initializer": serialize(self.kernel_initializer),
            "kernel_regularizer": serialize(self.kernel_regularizer),
        }


def _checked(column_size) -> int | list[int]:
    """Returns a size or sizes; raises an error unless all are integers >= 1."""
    if not isinstance(column_size, list | tuple):
        return check_integer("column_size", column_size, minimum=1)
    return [check_integer("column_size", size, minimum=1) for size in column_size]
