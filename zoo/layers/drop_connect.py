"""A dense layer that randomly drops weights."""

import keras
from keras import ops

from ..utils.arguments import check_fraction, check_integer


@keras.saving.register_keras_serializable(package="kerascope")
class DropConnect(keras.layers.Dense):
    """Drops individual weights of a dense layer during training.

    In every training step, a random fraction of the weights in the kernel is set to
    zero, and the others are multiplied by `1 / (1 - rate)`. The expected kernel
    therefore equals the full kernel, which is used during inference. In all other
    respects, the layer behaves like `keras.layers.Dense`.

    Source: Wan et al., "Regularization of Neural Networks using DropConnect" (2013),
    section 3.

    Args:
        units: Integer >= 1, the size of the last axis of the output.
        rate: Fraction of the weights to drop, in [0, 1).
        seed: Integer that seeds the random choice of weights. Defaults to `None`: the
            choice differs between processes unless `keras.utils.set_random_seed` is
            called.
        **kwargs: Keyword arguments of `keras.layers.Dense`, such as `activation`.

    Call arguments:
        inputs: Float tensor of shape `(batch, ..., features)`.
        training: Whether to drop weights. Defaults to `False`.

    Returns:
        A tensor of shape `(batch, ..., units)`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> from zoo.layers import DropConnect
    >>> layer = DropConnect(3, rate=0.5, kernel_initializer="ones", seed=0)
    >>> layer(np.eye(100)).shape == (100, 3)
    True
    >>> kernel = layer(np.eye(100), training=True)
    >>> np.unique(keras.ops.convert_to_numpy(kernel)).tolist()
    [0.0, 2.0]
    """

    def __init__(self, units: int, rate: float, *, seed: int | None = None, **kwargs):
        super().__init__(check_integer("units", units, minimum=1), **kwargs)
        self.rate = check_fraction("rate", rate)
        self.seed = seed
        if self.rate > 0:
            self.seed_generator = keras.random.SeedGenerator(seed)

    def call(self, inputs, training=False):
        if not training or self.rate == 0:
            return super().call(inputs)
        x = ops.matmul(inputs, self._dropped_kernel())
        if self.bias is not None:
            x = x + self.bias
        return x if self.activation is None else self.activation(x)

    def _dropped_kernel(self):
        # NOTE[DIFF] The paper draws one mask per example, which multiplies the memory
        # of the kernel by the batch size; here, the whole batch shares one mask. The
        # paper also drops biases; here, they are kept because they are few, as in the
        # recurrent layers of Keras. During inference, the paper samples activations
        # from a fitted Gaussian; here, inference is deterministic and uses the mean
        # kernel, as in dropout.
        kernel = self.kernel
        # Use float32, because half precision rounds small rates.
        ones = ops.ones(kernel.shape, dtype="float32")
        kept = keras.random.dropout(ones, self.rate, seed=self.seed_generator)
        return kernel * ops.cast(kept, kernel.dtype)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
