"""Embeddings of numbers with bins between the quantiles of the training data."""

import keras
import numpy as np
from keras import ops

from ..utils.arguments import check_integer, invalid_argument
from .numerical_embeddings import NumericalEmbeddings
from .table_data import whole_table


@keras.saving.register_keras_serializable(package="kerascope")
class PiecewiseLinearEmbeddings(NumericalEmbeddings):
    """Embeds each number by its position in the bins of its column.

    The encoding of a number has one component for each bin: 1 for bins below the
    number, 0 for bins above it, and its relative position in the bin that contains it.
    Below the first boundary and above the last, the encoding is extrapolated. A linear
    layer for each column, and ReLU, convert the encoding to the embedding.

    `adapt` places the boundaries at quantiles of the training data, so that every bin
    contains about as many examples. Equal quantiles are merged: a column of zeros and
    ones has one bin. The bins also normalize the inputs, so adapt the layer to raw
    inputs, and use it without `preprocessing`.

    Source: Gorishniy et al., "On Embeddings for Numerical Features in Tabular Deep
    Learning" (2022), section 3.2 and equation 1 ("PLE-LR" with quantiles).

    Args:
        output_dim: Integer >= 1, the size of the embedding of a number.
        num_bins: Integer >= 1, the largest number of bins of a column, for `adapt`.
            Defaults to `48`.
        bin_boundaries: Increasing numbers for each column, instead of `adapt`: a list
            of lists. Defaults to `None`.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Float tensor of shape `(batch, columns)`.

    Returns:
        A tensor of shape `(batch, columns, output_dim)`.

    Raises:
        ValueError: If an argument is invalid, or the layer is called before `adapt`.

    Example:

    >>> from zoo.layers import PiecewiseLinearEmbeddings
    >>> layer = PiecewiseLinearEmbeddings(8, num_bins=4)
    >>> layer.adapt(np.arange(101.0).reshape(-1, 1))
    >>> layer.bin_boundaries
    [[0.0, 25.0, 50.0, 75.0, 100.0]]
    >>> layer(np.array([[60.0]])).shape == (1, 1, 8)
    True
    >>> keras.ops.convert_to_numpy(layer.encode(np.array([[60.0]]))).round(2).tolist()
    [[[1.0, 1.0, 0.4, 0.0]]]
    """

    def __init__(
        self,
        output_dim: int,
        *,
        num_bins: int = 48,
        bin_boundaries=None,
        **kwargs,
    ):
        super().__init__(output_dim, **kwargs)
        self.num_bins = check_integer("num_bins", num_bins, minimum=1)
        self.bin_boundaries = None
        if bin_boundaries is not None:
            self.bin_boundaries = _checked(bin_boundaries)

    def adapt(self, data) -> None:
        """Computes the bin boundaries: evenly spaced quantiles of each column.

        Args:
            data: Array, tensor or data frame of shape `(examples, columns)`, or an
                iterable of such batches, for example `data.train`. If the batches are
                pairs `(x, y)`, only `x` is used. All rows must fit in memory.

        Raises:
            ValueError: If `data` is empty, is not a table or contains non-finite
                values, or if the layer has already been called.
        """
        if self.built:
            raise ValueError(
                f"Layer '{self.name}' has already been called, and its weights belong "
                "to its bins. Expected `adapt(data)` before the first call."
            )
        levels = np.linspace(0, 1, self.num_bins + 1)
        quantiles = np.quantile(whole_table(data), levels, axis=0)
        columns = quantiles.astype("float32").T
        self.bin_boundaries = [np.unique(column).tolist() for column in columns]

    def build(self, input_shape):
        if self.bin_boundaries is None:
            raise ValueError(
                f"Layer '{self.name}' has no bins yet. Expected `adapt(data)` before "
                "the first call, or `bin_boundaries`."
            )
        columns = len(self.bin_boundaries)
        if input_shape[-1] != columns:
            expected = f"a table of {columns} columns, as the bins have"
            raise invalid_argument("inputs", expected, tuple(input_shape))
        size = max(1, *(len(edges) - 1 for edges in self.bin_boundaries))
        # Components that a column does not have, and constant columns, remain zero.
        self._left, self._slope, self._low = np.zeros((3, columns, size), "float32")
        self._high = np.ones((columns, size), "float32")
        for index, edges in enumerate(map(np.array, self.bin_boundaries)):
            bins = len(edges) - 1
            self._left[index, :bins] = edges[:-1]
            self._slope[index, :bins] = 1 / np.diff(edges)
            if bins:
                self._low[index, 0], self._high[index, bins - 1] = -np.inf, np.inf
        self.add_linear(columns, size)

    def encode(self, x):
        position = ops.subtract(ops.expand_dims(x, axis=-1), self._left)
        position = ops.multiply(position, self._slope)
        return ops.minimum(ops.maximum(position, self._low), self._high)

    def get_config(self):
        return {
            **super().get_config(),
            "num_bins": self.num_bins,
            "bin_boundaries": self.bin_boundaries,
        }


def _checked(bin_boundaries) -> list[list[float]]:
    """Returns the boundaries of each column; raises an error unless they increase."""
    try:
        columns = [np.asarray(edges, "float64") for edges in bin_boundaries]
    except (TypeError, ValueError):
        columns = []
    is_valid = all(
        edges.ndim == 1
        and len(edges)
        and np.isfinite(edges).all()
        # A constant column has one boundary, and no bin.
        and (np.diff(edges.astype("float32")) > 0).all()
        for edges in columns
    )
    if not columns or not is_valid:
        expected = "a list of increasing finite numbers for each column"
        raise invalid_argument("bin_boundaries", expected, bin_boundaries)
    return [edges.tolist() for edges in columns]
