"""A preprocessing layer that gives the columns of a table a normal distribution."""

from collections.abc import Sequence

import keras
import numpy as np
from keras import ops
from scipy.special import ndtri

from ..utils.arguments import check_integer, invalid_argument
from .adapted_layer import AdaptedLayer
from .table_data import check_table, whole_table

LARGEST = float(np.finfo("float32").max)


@keras.saving.register_keras_serializable(package="kerascope")
class QuantileNormalization(AdaptedLayer):
    """Transforms each column of a table to an approximately normal distribution.

    A value `v` becomes the quantile of the standard normal distribution at the level
    `P(x < v) + P(x = v) / 2`, where the probabilities are fractions of the rows that
    `adapt` sees. Outliers and skewed columns, such as prices, therefore have the same
    scale as all other columns, and columns of zeros and ones remain two values. Between
    the values seen, the transformation is linear; beyond them, it is constant. The
    outputs for a constant column are 0.

    In other words, the outputs for the rows seen are normal scores of the levels
    `(rank - 1/2) / rows`, where equal values share their mean rank.

    Args:
        num_quantiles: Integer >= 2, the largest number of values of a column at which
            the transformation is exact. A column with more distinct values uses
            evenly spaced quantiles, and its minimum and maximum. Defaults to `1000`.
        passthrough: Sequence of integers >= 0, the indices of columns that are not
            transformed, such as one-hot columns. Defaults to `()`.
        **kwargs: Keyword arguments of `keras.layers.Layer`, such as `name`.

    Call arguments:
        inputs: Tensor of shape `(batch, columns)`.

    Returns:
        A tensor with the shape of `inputs`, in the compute dtype. Internally, the layer
        computes in float32 even under a mixed precision policy.

    Raises:
        ValueError: If an argument is invalid, the inputs are not a table, or the layer
            is called before `adapt`.

    Example:

    >>> from zoo.layers import QuantileNormalization
    >>> prices = np.exp(np.random.default_rng(0).normal(size=(1000, 1)))
    >>> layer = QuantileNormalization()
    >>> layer.adapt(prices)
    >>> normal = keras.ops.convert_to_numpy(layer(prices))
    >>> np.quantile(normal, [0.16, 0.5, 0.84]).round(1).tolist()
    [-1.0, 0.0, 1.0]
    """

    # NOTE[DIFF] scikit-learn's QuantileTransformer maps the smallest and the largest
    # value to -5.2 and 5.2, and therefore a column of zeros and ones to these values.
    # It interpolates levels instead of their normal quantiles.

    def __init__(
        self, num_quantiles: int = 1000, passthrough: Sequence[int] = (), **kwargs
    ):
        super().__init__(**kwargs)
        self.num_quantiles = check_integer("num_quantiles", num_quantiles, minimum=2)
        if not isinstance(passthrough, Sequence) or isinstance(passthrough, str):
            expected = "a list of column indices"
            raise invalid_argument("passthrough", expected, passthrough)
        self.passthrough = [
            check_integer("passthrough", index, minimum=0) for index in passthrough
        ]
        # A power of two, for the binary search, that leaves room for an infinity.
        self._size = 2 ** self.num_quantiles.bit_length()

    def build(self, input_shape):
        check_table(input_shape)
        columns = input_shape[-1]
        if max(self.passthrough, default=0) >= columns:
            expected = f"indices < {columns}, the number of columns"
            raise invalid_argument("passthrough", expected, self.passthrough)
        shape = (columns, self._size)
        self.values = self.add_statistic("values", shape)
        self.scores = self.add_statistic("scores", shape)

    def adapt(self, data) -> None:
        """Computes the quantiles of each column.

        Args:
            data: Array, tensor or data frame of shape `(examples, columns)`, or an
                iterable of such batches, for example `data.train`. If the batches are
                pairs `(x, y)`, only `x` is used. All rows must fit in memory.

        Raises:
            ValueError: If `data` is empty, is not a table, contains non-finite values,
                or does not have the same number of columns as in earlier calls.
        """
        rows = whole_table(data)
        self.prepare(rows.shape[1])
        knots = [_knots(column, self.num_quantiles) for column in rows.T]
        values = np.full(self.values.shape, np.inf)
        scores = np.empty(self.scores.shape)
        for index, (column_values, column_scores) in enumerate(knots):
            values[index, : len(column_values)] = column_values
            scores[index] = column_scores[-1]
            scores[index, : len(column_scores)] = column_scores
        self.values.assign(values)
        self.scores.assign(scores)
        self.is_adapted = True

    def call(self, inputs):
        self.check_adapted()
        x = ops.clip(ops.cast(inputs, self.variable_dtype), -LARGEST, LARGEST)
        values, scores = ops.ravel(self.values), ops.ravel(self.scores)
        # The largest index of each column with `values[index] <= x`, or its first.
        first = ops.arange(self.values.shape[0], dtype="int32") * self._size
        index = ops.broadcast_to(first, ops.shape(x))
        step = self._size // 2
        while step:
            ahead = index + step
            index = ops.where(x >= ops.take(values, ahead), ahead, index)
            step //= 2
        left, right = ops.take(values, index), ops.take(values, index + 1)
        low, high = ops.take(scores, index), ops.take(scores, index + 1)
        share = ops.clip((x - left) / (right - left), 0, 1)
        outputs = low + share * (high - low)
        if self.passthrough:
            unchanged = np.isin(np.arange(self.values.shape[0]), self.passthrough)
            outputs = ops.where(unchanged, ops.cast(inputs, x.dtype), outputs)
        return ops.cast(outputs, self.compute_dtype)

    def get_config(self):
        return {
            **super().get_config(),
            "num_quantiles": self.num_quantiles,
            "passthrough": self.passthrough,
        }


def _knots(column: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Returns at most `count` distinct values, in order, and their normal scores."""
    values, repeats = np.unique(column, return_counts=True)
    levels = (np.cumsum(repeats) - repeats / 2) / len(column)
    if len(values) > count:
        last = len(values) - 1
        inner = np.searchsorted(levels, np.linspace(0, 1, count)[1:-1])
        chosen = np.unique([0, *np.minimum(inner, last), last])
        values, levels = values[chosen], levels[chosen]
    return values, ndtri(levels)
