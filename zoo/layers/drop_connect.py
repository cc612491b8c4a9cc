"""A dense layer whose weights are dropped at random."""

import keras
from keras import ops

from ..utils.arguments import check_fraction, check_integer


@keras.saving.register_keras_serializable(package="kerascope")
class DropConnect(keras.layers.Dense):
    """Drops single weights of a dense layer in training.

    It is a `keras.layers.Dense` in all else. In every training step a fraction of the
    kernel is set to zero, and the rest is multiplied with `1 / (1 - rate)`, so that
    the expected kernel is the kernel itself, which serves at inference.

    Source: Wan et al., "Regularization of Neural Networks using DropConnect" (2013),
    section 3.

    Args:
        units: Integer >= 1, the size of the last axis of the output.
        rate: Fraction of the weights that is dropped, in [0, 1).
        seed: Integer, or `None` for another draw in every process unless
            `keras.utils.set_random_seed` is called. Defaults to `None`.
        **kwargs: Keyword arguments of `keras.layers.Dense`, as `activation`.

    Call arguments:
        inputs: Float tensor of shape `(batch, ..., features)`.
        training: Whether weights are dropped. Defaults to `False`.

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
        # NOTE[DIFF] The paper draws a mask for each example, which takes the batch
        # size times the memory of the kernel; here all of a batch share one. It also
        # drops biases, which are few and are kept here, as in Keras' recurrent
        # layers. At inference it samples activations from a fitted Gaussian; the
        # mean kernel, which is what dropout does, is the same in every call.
        kernel = self.kernel
        # In float32, since half precision rounds small rates.
        ones = ops.ones(kernel.shape, dtype="float32")
        kept = keras.random.dropout(ones, self.rate, seed=self.seed_generator)
        return kernel * ops.cast(kept, kernel.dtype)

    def get_config(self):
        return {**super().get_config(), "rate": self.rate, "seed": self.seed}
