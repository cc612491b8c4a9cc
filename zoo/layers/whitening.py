"""A preprocessing layer that decorrelates the columns of a table."""

from collections.abc import Iterable

import keras
import numpy as np
from keras import ops

from ..utils.arguments import check_choice, check_not_negative
from .adapted_layer import AdaptedLayer
from .table_data import check_table, empty_table, tables


@keras.saving.register_keras_serializable(package="kerascope")
class Whitening(AdaptedLayer):
    """Transforms the columns of a table to be uncorrelated, with mean 0 and variance 1.

    `adapt` computes the mean and covariance of the train split. The layer subtracts
    the mean and multiplies the result by a fixed matrix. With "pca", the outputs are
    the scaled principal components, in descending order of variance. With "zca", these
    components are rotated back to the original axes; among all whitening
    transformations, "zca" changes the inputs least. Directions without variance in the
    train split, such as constant columns, are not scaled. Images are rejected, because
    the size of their covariance matrix would be the square of the number of pixels.

    Source: Kessy, Lewin & Strimmer, "Optimal Whitening and Decorrelation" (2018),
    section 2.

    Args:
        method: "pca" or "zca". Defaults to `"zca"`.
        epsilon: Number >= 0 that is added to the variance of every direction, to limit
            the amplification of noise in directions with small variance. Like a
            variance, `epsilon` is measured in squared units of the data. If the columns
            have different units, scale them first, for example with
            `data.normalization()`. Defaults to `1e-5`.
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

    >>> from zoo.layers import Whitening
    >>> x = np.random.default_rng(0).normal(size=(100, 2)) @ [[3.0, 1.0], [0.0, 1.0]]
    >>> layer = Whitening("zca", epsilon=0.0)
    >>> layer.adapt(x)
    >>> white = keras.ops.convert_to_numpy(layer(x))
    >>> np.allclose(white.T @ white / 100, np.eye(2), atol=1e-4)
    True
    """

    mixes_columns = True  # so columns cannot be selected after this layer

    def __init__(self, method: str = "zca", *, epsilon: float = 1e-5, **kwargs):
        super().__init__(**kwargs)
        self.method = check_choice("method", method, ("pca", "zca"))
        self.epsilon = check_not_negative("epsilon", epsilon)

    def build(self, input_shape):
        check_table(input_shape)
        columns = input_shape[-1]
        self.mean = self.add_statistic("mean", (columns,))
        self.matrix = self.add_statistic("matrix", (columns, columns))

    def adapt(self, data) -> None:
        """Computes the mean of the data and the whitening matrix, in float64.

        Args:
            data: Array, tensor or data frame of shape `(examples, columns)`, or an
                iterable of such batches, for example `data.train`. If the batches are
                pairs `(x, y)`, only `x` is used.

        Raises:
            ValueError: If `data` is empty, is not a table, contains non-finite values,
                or does not have the same number of columns as in earlier calls.
        """
        mean, covariance = _moments(tables(data))
        self.prepare(len(mean))
        self.mean.assign(mean)
        self.matrix.assign(self._whitening_matrix(mean, covariance))
        self.is_adapted = True

    def _whitening_matrix(self, mean: np.ndarray, covariance: np.ndarray):
        variances, directions = np.linalg.eigh(covariance)
        variances, directions = variances[::-1], directions[:, ::-1]
        # The sign of an eigenvector is arbitrary. Make the entry with the largest
        # absolute value positive, so that the result does not depend on the machine.
        largest = np.abs(directions).argmax(axis=0)
        directions = directions * np.sign(directions[largest, range(len(largest))])
        # Even constant directions have a small nonzero variance, because float32 data
        # are rounded and the eigenvalues have the rounding error of float64.
        squares = mean**2 + np.diag(covariance)
        rounding = np.finfo("float32").eps ** 2 * (squares @ directions**2)
        rounding += len(mean) * np.finfo("float64").eps * variances[0]
        varies = variances > rounding
        scale = np.where(varies, variances + self.epsilon, 1.0) ** -0.5
        matrix = directions * scale
        return matrix @ directions.T if self.method == "zca" else matrix

    def call(self, inputs):
        self.check_adapted()
        dtype = self.variable_dtype
        x = ops.matmul(ops.cast(inputs, dtype) - self.mean, self.matrix)
        return ops.cast(x, self.compute_dtype)

    def get_config(self):
        config = {"method": self.method, "epsilon": self.epsilon}
        return {**super().get_config(), **config}


def _moments(batches: Iterable[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Computes the mean and the covariance (with divisor n) in a single pass.

    The statistics of the batches are combined with equation 2.1 of Chan, Golub &
    LeVeque (1979), extended from variances to covariances.
    """
    count, mean, scatter = 0, 0.0, 0.0
    for batch in batches:
        if not len(batch):
            continue
        rows = batch.astype("float64")
        shift, centred = rows.mean(axis=0) - mean, rows - rows.mean(axis=0)
        total = count + len(rows)
        scatter = scatter + centred.T @ centred
        scatter = scatter + np.outer(shift, shift) * (count * len(rows) / total)
        mean, count = mean + shift * (len(rows) / total), total
    if not count:
        raise empty_table()
    return mean, scatter / count
