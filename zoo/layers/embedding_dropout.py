"""A layer that drops random tokens of the vocabulary."""

import keras

from ..utils.arguments import check_fraction, check_integer


@keras.saving.register_keras_serializable(package="kerascope")
class EmbeddingDropout(keras.layers.Layer):
    """Drops random tokens of the vocabulary at all positions where they occur.

    During training, the tokens to drop are drawn separately for each sequence. Their
    vectors are set to zero at all positions in the sequence, and all other vectors are
    divided by `1 - rate`. This is equivalent to dropout on the rows of the embedding
    matrix (Gal & Ghahramani, "A Theoretically Grounded Application of Dropout in
    Recurrent Neural Networks", 2016, section 4.2; Merity et al., "Regularizing and
    Optimizing LSTM Language Models", 2018, section 4.3, where the whole batch shares
    one mask).

    Args:
        rate: Fraction of the vocabulary to drop, in [0, 1).
        vocabulary_size: Number of tokens in the vocabulary.
        seed: Integer that seeds the random choice of tokens. Defaults to `None`: the
            choice differs between processes unless `keras.utils.set_random_seed` is
            called.
        **kwargs: Arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Embedded tokens, a float tensor of shape `(batch, time, size)`.
        token_ids: Integer tensor of shape `(batch, time)`.
        training: Whether to drop tokens. Defaults to `False`.

    Raises:
        ValueError: If an argument is invalid.

    Example:

    >>> from zoo.layers import EmbeddingDropout
    >>> layer = EmbeddingDropout(0.5, vocabulary_size=3, seed=0)
    >>> ids = np.array([[0, 1, 2, 2, 1, 0]])
    >>> x = layer(np.ones((1, 6, 1)), ids, training=True)
    >>> x = keras.ops.convert_to_numpy(x)[0, :, 0]
    >>> np.array_equal(x, x[::-1]) and set(x.tolist()) <= {0.0, 2.0}
    True
    """

    def __init__(
        self, rate: float, vocabulary_size: int, *, seed: int | None = None, **kwargs
    ):
        super().__init__(**kwargs)
        self.rate = check_fraction("rate", rate)
        self.vocabulary_size = check_integer("vocabulary_size", vocabulary_size, 1)
        self.seed = seed
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.supports_masking = True
        self.built = True

    def call(self, inputs, token_ids, training=False):
        if not training or not self.rate:
            return inputs
        shape = (keras.ops.shape(inputs)[0], self.vocabulary_size)
        # Use float32, because half precision rounds small rates.
        ones = keras.ops.ones(shape, dtype="float32")
        kept = keras.random.dropout(ones, self.rate, seed=self.seed_generator)
        kept = keras.ops.cast(kept, inputs.dtype)
        token_ids = keras.ops.cast(token_ids, "int32")
        return inputs * keras.ops.take_along_axis(kept, token_ids, axis=1)[:, :, None]

    def compute_output_shape(self, input_shape):
        return input_shape

    def get_config(self):
        return {
            **super().get_config(),
            "rate": self.rate,
            "vocabulary_size": self.vocabulary_size,
            "seed": self.seed,
        }
