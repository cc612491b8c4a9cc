"""Initial weights that preserve the widths of interval bounds."""

import math

import keras


@keras.saving.register_keras_serializable(package="kerascope")
class IBPNormal(keras.initializers.RandomNormal):
    """Initial weights for certified training with interval bounds.

    With He initialization, interval bounds grow by a factor of about the square root of
    the width in every hidden layer, so certified training begins with bounds that say
    nothing. A normal distribution with a standard deviation of `sqrt(2 * pi) / fan_in`
    preserves their expected width from layer to layer (Shi et al., "Fast Certified
    Robust Training with Short Warmup", 2021, section 3.2).

    Args:
        seed: Integer or `keras.random.SeedGenerator`. Defaults to `None`: random.

    Example:

    >>> from zoo import mlp
    >>> model = mlp((784,), 10, units=(512, 512), kernel_initializer=IBPNormal(seed=0))
    >>> kernel = model.get_layer("hidden_1").get_weights()[0]
    >>> float(kernel.std() * 784 / np.sqrt(2 * np.pi)).__round__(2)
    1.0
    """

    def __init__(self, seed=None):
        super().__init__(mean=0.0, stddev=1.0, seed=seed)

    def __call__(self, shape, dtype=None):
        scale = math.sqrt(2 * math.pi) / math.prod(shape[:-1])
        return scale * super().__call__(shape, dtype)

    def get_config(self):
        return {"seed": super().get_config()["seed"]}
