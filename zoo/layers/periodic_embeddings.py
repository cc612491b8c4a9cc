"""Embeddings of numbers with learned sines and cosines."""

import math

import keras
from keras import ops

from ..utils.arguments import check_choice, check_integer, check_positive
from .numerical_embeddings import NumericalEmbeddings


@keras.saving.register_keras_serializable(package="kerascope")
class PeriodicEmbeddings(NumericalEmbeddings):
    """Embeds each number with sines and cosines of learned frequencies.

    The number `x` of a column becomes `relu(linear([cos(v), sin(v)]))` with
    `v = 2 pi c x`, where the `num_frequencies` frequencies `c` of each column are
    learned. This lets a network fit functions of a number that change fast, which
    MLPs learn slowly. Normalize the inputs first, for example with
    `data.normalization("quantile")`.

    Source: Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep
    Learning" (2022), section 3.3 and equation 2 ("PLR"). The variant with `lite` is
    from Gorishniy et al., "TabR" (2024), where it is called "PLR(lite)".

    Args:
        output_dim: Integer >= 1, the size of the embedding of a number. Defaults to
            `24`.
        num_frequencies: Integer >= 1, the number of frequencies of each column.
            Defaults to `48`.
        frequency_scale: Number > 0, the standard deviation of the initial frequencies,
            in cycles per unit of the inputs. This is the most important setting; values
            between 0.01 and 10 are worth trying. Defaults to `0.01`.
        lite: Whether all columns share one linear layer. Defaults to `False`.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Float tensor of shape `(batch, columns)`.

    Returns:
        A tensor of shape `(batch, columns, output_dim)`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> from zoo.layers import PeriodicEmbeddings
    >>> layer = PeriodicEmbeddings(8, num_frequencies=16, frequency_scale=0.1)
    >>> layer(np.ones((2, 5))).shape == (2, 5, 8)
    True
    >>> layer.count_params() == 5 * (16 + (2 * 16 + 1) * 8)
    True
    """

    def __init__(
        self,
        output_dim: int = 24,
        *,
        num_frequencies: int = 48,
        frequency_scale: float = 0.01,
        lite: bool = False,
        **kwargs,
    ):
        check_choice("lite", lite, (False, True))
        super().__init__(output_dim, lite=lite, **kwargs)
        self.num_frequencies = check_integer(
            "num_frequencies", num_frequencies, minimum=1
        )
        self.frequency_scale = check_positive("frequency_scale", frequency_scale)

    def build(self, input_shape):
        columns = input_shape[-1]
        self.frequencies = self.add_weight(
            name="frequencies",
            shape=(columns, self.num_frequencies),
            initializer=keras.initializers.RandomNormal(stddev=self.frequency_scale),
            autocast=False,
        )
        self.add_linear(columns, 2 * self.num_frequencies)

    def encode(self, x):
        phases = 2 * math.pi * self.frequencies * ops.expand_dims(x, axis=-1)
        return ops.concatenate([ops.cos(phases), ops.sin(phases)], axis=-1)

    def get_config(self):
        return {
            **super().get_config(),
            "num_frequencies": self.num_frequencies,
            "frequency_scale": self.frequency_scale,
            "lite": self.lite,
        }
