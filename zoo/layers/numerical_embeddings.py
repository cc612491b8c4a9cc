"""Base class of layers that embed the columns of a table."""

import keras
from keras import ops

from ..utils.arguments import check_integer


class NumericalEmbeddings(keras.layers.Layer):
    """Encodes each number, and applies a linear layer and ReLU to the encoding.

    Subclasses call `add_linear` in `build`, and implement `encode`, which computes in
    float32 even under a mixed precision policy.

    Args:
        output_dim: Integer >= 1, the size of the embedding of a number.
        lite: Whether all columns share one linear layer.
        **kwargs: Keyword arguments of `keras.layers.Layer`.
    """

    def __init__(self, output_dim: int, *, lite: bool = False, **kwargs):
        super().__init__(**{"autocast": False, **kwargs})
        self.output_dim = check_integer("output_dim", output_dim, minimum=1)
        self.lite = lite
        self.input_spec = keras.layers.InputSpec(ndim=2)

    def add_linear(self, columns: int, size: int) -> None:
        """Adds the linear layer, for encodings of this size.

        Weights and biases are uniform with the limit `size ** -0.5`, as in the
        reference implementation (`rtdl_num_embeddings`).
        """
        shared = () if self.lite else (columns,)
        self.input_spec = keras.layers.InputSpec(ndim=2, axes={-1: columns})
        self.kernel, self.bias = (
            self.add_weight(
                name=name,
                shape=(*shared, *shape),
                initializer=keras.initializers.RandomUniform(-(size**-0.5), size**-0.5),
            )
            for name, shape in (
                ("kernel", (size, self.output_dim)),
                ("bias", (self.output_dim,)),
            )
        )

    def encode(self, x):
        """Maps numbers of shape `(batch, columns)` to `(batch, columns, size)`."""
        raise NotImplementedError

    def call(self, inputs):
        encoding = self.encode(ops.cast(inputs, self.variable_dtype))
        encoding = ops.cast(encoding, self.compute_dtype)
        equation = "bce,ed->bcd" if self.lite else "bce,ced->bcd"
        return ops.relu(ops.einsum(equation, encoding, self.kernel) + self.bias)

    def compute_output_shape(self, input_shape):
        return (*input_shape, self.output_dim)

    def get_config(self):
        return {**super().get_config(), "output_dim": self.output_dim}
