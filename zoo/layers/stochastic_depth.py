"""A layer that randomly drops residual branches."""

import keras
from keras import ops

from ..utils.arguments import check_fraction


@keras.saving.register_keras_serializable(package="kerascope")
class StochasticDepth(keras.layers.Layer):
    """Drops a residual branch for some examples during training.

    Place the layer at the end of a branch, before the addition: if the branch is
    dropped for an example, the example passes through the block only via the skip
    connection. Kept branches are multiplied by `1 / (1 - rate)`, so that the expected
    output equals the input. During inference, the input is returned unchanged.

    Source: Huang et al., "Deep Networks with Stochastic Depth" (2016), section 3,
    equation 2. In the paper, the rate increases linearly with the depth of the block.

    Args:
        rate: Fraction of the examples for which to drop the branch, in [0, 1).
        seed: Integer that seeds the random choice of examples. Defaults to `None`: the
            choice differs between processes unless `keras.utils.set_random_seed` is
            called.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Float tensor of shape `(batch, ...)`.
        training: Whether to drop branches. Defaults to `False`.

    Returns:
        A tensor with the shape and dtype of `inputs`.

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
        # NOTE[DIFF] The paper drops a branch for a whole batch, and multiplies the
        # branch by `1 - rate` during inference. Here, one draw per example reduces
        # the variance, and scaling during training leaves inference unchanged, as in
        # Keras' Dropout.
        shape = (ops.shape(inputs)[0], *(1,) * (len(inputs.shape) - 1))
        # Use float32, because half precision rounds small rates.
        ones = ops.ones(shape, dtype="float32")
        kept = keras.random.dropout(ones, self.rate, seed=self.seed_generator)
        return inputs * ops.cast(kept, inputs.dtype)

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
