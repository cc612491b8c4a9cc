"""Residual branches that are left out at random."""

import keras
from keras import ops

from ..utils.arguments import check_fraction


@keras.saving.register_keras_serializable(package="kerascope")
class StochasticDepth(keras.layers.Layer):
    """Drops the residual branch of some examples in training.

    It stands at the end of a branch, before the addition: an example whose branch is
    dropped passes the block along the skip alone. Branches that are kept are
    multiplied with `1 / (1 - rate)`, so that the expected output is the input, and
    inference leaves it as it is.

    Source: Huang et al., "Deep Networks with Stochastic Depth" (2016), section 3,
    equation 2. They let the rate rise linearly with the depth of the block.

    Args:
        rate: Fraction of the examples whose branch is dropped, in [0, 1).
        seed: Integer, or `None` for another draw in every process unless
            `keras.utils.set_random_seed` is called. Defaults to `None`.
        **kwargs: Keyword arguments of `keras.layers.Layer`, as `name`.

    Call arguments:
        inputs: Float tensor of shape `(batch, ...)`.
        training: Whether branches are dropped. Defaults to `False`.

    Returns:
        A tensor of the shape and dtype of `inputs`.

    Raises:
        ValueError: If `rate` is not in [0, 1).

    Example:

    >>> from zoo.layers import StochasticDepth
    >>> branch = StochasticDepth(0.5, seed=0)(np.ones((1000, 3)), training=True)
    >>> np.unique(keras.ops.convert_to_numpy(branch)).tolist()
    [0.0, 2.0]
    """

    def __init__(self, rate: float, *, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        self.rate = check_fraction("rate", rate)
        self.seed = seed
        if self.rate > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return inputs
        # NOTE[DIFF] The paper drops a branch for a whole batch, and multiplies with
        # the fraction kept at inference. One draw for each example has less variance,
        # and scaling in training leaves inference alone, as Keras' Dropout does.
        shape = (ops.shape(inputs)[0], *(1,) * (len(inputs.shape) - 1))
        # In float32, since half precision rounds small rates.
        ones = ops.ones(shape, dtype="float32")
        kept = keras.random.dropout(ones, self.rate, seed=self.seed_generator)
        return inputs * ops.cast(kept, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
