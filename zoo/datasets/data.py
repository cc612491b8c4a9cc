"""A dataset that is ready for `fit`, with the properties needed to build a model."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from ..layers.categorical_embeddings import CategoricalEmbeddings
from ..layers.quantile_normalization import QuantileNormalization
from ..utils.arguments import check_choice, check_integer, invalid_argument
from ..utils.token_shape import TokenShape
from .order import Order

TASKS = ("classification", "multi_label", "regression", "language_model")


class Data:
    """A dataset that is ready for `fit`, as returned by `load` and `from_arrays`.

    `x` contains token ids (int32) or numbers (float32). Images whose original dtype is
    bool, uint8 or uint16 are scaled to [0, 1]. The form of `y` depends on the task:

    - "classification": class labels, int32 of shape `(batch,)`;
    - "multi_label": 1 for each label that applies and 0 for all others, int32 of shape
      `(batch, num_outputs)`;
    - "regression": target values, float32 of shape `(batch, num_outputs)`;
    - "language_model": ids of the next tokens, int32 of shape
      `(batch, sequence_length)`.

    Attributes:
        name: Name of the dataset.
        train: Dataset of batches `(x, y)` that reshuffles itself in every epoch, so
            pass `shuffle=False` to `fit`.
        validation: Dataset of batches `(x, y)` in a fixed order, or `None`.
        test: Dataset of batches `(x, y)` in a fixed order, or `None`.
        order: The `Order` of `train`. Its `counter` can be read and set.
        sizes: Dict that maps the name of each split to its number of examples.
        input_shape: Shape of one example of `x`, without the batch dimension.
        num_outputs: Number of outputs that a model needs, that is, the number of
            classes, labels, target values, or tokens in the vocabulary.
        task: "classification", "multi_label", "regression" or "language_model".
        class_names: List of strings for classification and multi_label, otherwise
            `None`.
        feature_names: Column names of a table, in order, otherwise `None`. A one-hot
            column is named "column=category".
        one_hot_columns: Dict that maps the name of each one-hot encoded column of a
            table to `(start, stop)`: the position in `x` of its first category, and
            the position after its last. `None` if `feature_names` is `None`.
        vocabulary: List of tokens if `x` contains token ids, otherwise `None`. The
            index of a token is its id. Padding has id 0, and unknown tokens have id 1.
    """

    def __init__(
        self,
        *,
        name: str,
        datasets: dict,
        sizes: dict[str, int],
        order: Order,
        input_shape: tuple[int, ...],
        num_outputs: int,
        task: str,
        train_batches: Callable[[], Iterator[tuple[np.ndarray, np.ndarray]]],
        class_names: list[str] | None = None,
        feature_names: list[str] | None = None,
        one_hot_columns: dict[str, tuple[int, int]] | None = None,
        vocabulary: list[str] | None = None,
        text_vectorization: Callable[[], keras.layers.Layer] | None = None,
    ):
        self.name = name
        self.train = datasets["train"]
        self.validation = datasets.get("validation")
        self.test = datasets.get("test")
        self.sizes = sizes
        self.order = order
        self.input_shape = tuple(input_shape)
        if vocabulary is not None:
            self.input_shape = TokenShape(input_shape)
        self.num_outputs = num_outputs
        self.task = task
        self.class_names = class_names
        self.feature_names = feature_names
        self.one_hot_columns = one_hot_columns
        self.vocabulary = vocabulary
        self._train_batches = train_batches
        self._text_vectorization = text_vectorization

    @property
    def loss(self) -> keras.losses.Loss:
        """Returns a new loss that suits the task and can be passed to `compile`.

        Except in regression, the model is expected to output logits.
        """
        if self.task == "regression":
            return keras.losses.MeanSquaredError()
        if self.task == "multi_label":
            return keras.losses.BinaryCrossentropy(from_logits=True)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @property
    def metrics(self) -> list:
        """Returns new metrics that suit the task and can be passed to `compile`.

        Except in regression, the model is expected to output logits.
        """
        if self.task == "regression":
            return [
                keras.metrics.RootMeanSquaredError(name="rmse"),
                keras.metrics.MeanAbsoluteError(name="mae"),
            ]
        if self.task == "multi_label":
            return [
                keras.metrics.BinaryAccuracy(threshold=0.0),
                keras.metrics.AUC(
                    multi_label=True,
                    num_labels=self.num_outputs,
                    from_logits=True,
                    name="auc",
                ),
            ]
        return ["accuracy"]

    def normalization(self, method: str = "standard") -> keras.layers.Layer:
        """Returns a layer that normalizes inputs with statistics of the train split.

        One-hot columns stay 0 and 1. Scaling them to variance 1 would multiply the
        columns of rare categories by a large factor, which increases the errors (see
        "Tables" in docs/benchmarks.md).

        Args:
            method: The transformation. Defaults to `"standard"`.

                - "standard": Scales inputs to mean 0 and variance 1, separately for
                  each index of the last axis, that is, for each column of a table or
                  channel of an image. Constant columns and channels are centered but
                  not scaled.
                - "quantile": Gives each column of a table an approximately normal
                  distribution, which suits columns with outliers or a skewed
                  distribution; see `zoo.layers.QuantileNormalization`.

        Returns:
            A new `keras.layers.Normalization` or `zoo.layers.QuantileNormalization`
            with these statistics. Its `adapt` method need not be called.

        Raises:
            ValueError: If `method` is invalid, the inputs are token ids or, for
                "quantile", the inputs are not a table.
        """
        check_choice("method", method, ("standard", "quantile"))
        if self.vocabulary is not None:
            raise ValueError(
                f"The inputs of '{self.name}' are token ids, which cannot be "
                "normalized. Expected images, tables or other numbers.\n"
                "Embed them instead: `keras.layers.Embedding`."
            )
        unchanged = self._one_hot_indices()
        if method == "quantile":
            layer = QuantileNormalization(passthrough=unchanged, name="normalization")
            layer.adapt(self._train_batches())
            return layer
        mean, variance = _moments(x for x, _ in self._train_batches())
        mean[unchanged], variance[unchanged] = 0, 1
        return keras.layers.Normalization(
            axis=-1, mean=mean, variance=variance, name="normalization"
        )

    def categorical_embeddings(
        self, min_categories: int = 10, *, output_dim: int | None = None
    ) -> CategoricalEmbeddings:
        """Returns a layer that embeds the columns of a table with many categories.

        Args:
            min_categories: Integer >= 1. Columns with fewer categories remain one-hot
                encoded. Defaults to `10`.
            output_dim: Integer >= 1, the size of the vectors. Defaults to `None`: it
                depends on the number of categories of each column.

        Returns:
            A new `zoo.layers.CategoricalEmbeddings`, for `categorical_embeddings=` of
            `zoo.mlp` and `zoo.res_mlp`.

        Raises:
            ValueError: If an argument is invalid, or no column has so many categories.

        Example:

        >>> import pandas as pd
        >>> from zoo import datasets
        >>> table = pd.DataFrame({"town": list("abcdefghijkl") * 5, "size": range(60)})
        >>> data = datasets.from_arrays((table, table["size"] % 7.0))
        >>> data.one_hot_columns
        {'town': (0, 12)}
        >>> data.categorical_embeddings().output_dims
        [6]
        """
        check_integer("min_categories", min_categories, minimum=1)
        if not self.one_hot_columns:
            raise ValueError(
                f"'{self.name}' has no columns to embed. Expected a DataFrame or a "
                "TFDS dataset with columns of categories. Received: "
                f"one_hot_columns={self.one_hot_columns}"
            )
        sizes = {name: b - a for name, (a, b) in self.one_hot_columns.items()}
        columns = {
            name: block
            for name, block in self.one_hot_columns.items()
            if sizes[name] >= min_categories
        }
        if not columns:
            expected = f"an integer <= {max(sizes.values())}"
            fix = f"The numbers of categories of '{self.name}' are {sizes}."
            raise invalid_argument("min_categories", expected, min_categories, fix)
        return CategoricalEmbeddings(columns, output_dim, name="categorical_embeddings")

    def _one_hot_indices(self) -> list[int]:
        blocks = (self.one_hot_columns or {}).values()
        return [index for block in blocks for index in range(*block)]

    def denormalization(self) -> keras.layers.Normalization:
        """Returns a layer that maps standardized outputs to the units of the targets.

        The layer multiplies its input by the standard deviation of the targets and adds
        their mean. These statistics are computed from the train split. If a model ends
        with this layer, the preceding layers learn targets with mean 0 and variance 1,
        while the predictions of the model are in the units of the data. The loss and
        the metrics are also in these units.

        Returns:
            A new `keras.layers.Normalization` with `invert=True` and these statistics.
            Its `adapt` method need not be called.

        Raises:
            ValueError: If the task is not regression.
        """
        if self.task != "regression":
            raise ValueError(
                f"The targets of '{self.name}' are discrete and have no mean. "
                f"Expected a regression task. Received: task={self.task!r}"
            )
        mean, variance = _moments(y for _, y in self._train_batches())
        return keras.layers.Normalization(
            axis=-1,
            mean=mean,
            variance=variance,
            invert=True,
            dtype=keras.config.dtype_policy().variable_dtype,
            name="denormalization",
        )

    def text_vectorization(self) -> keras.layers.TextVectorization:
        """Returns a layer that converts new texts to token ids, as in this dataset.

        Returns:
            A new `keras.layers.TextVectorization` with the vocabulary of the dataset.
            The layer requires TensorFlow.

        Raises:
            ValueError: If the dataset was not loaded from texts.
        """
        if self._text_vectorization is None:
            raise ValueError(
                f"'{self.name}' was not loaded from texts, so it has no layer that "
                "converts texts to token ids."
            )
        return self._text_vectorization()

    def train_batches(self) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yields the train split as arrays `(x, y)`, in its stored order."""
        return self._train_batches()

    def plot(self, figure=None):
        """Plots the distribution of the targets, and twelve examples with their labels.

        The targets and the examples are those of the train split. At most the first
        50,000 examples are counted.

        Args:
            figure: Matplotlib figure or subfigure to draw in. Defaults to `None`,
                which creates a new figure.

        Returns:
            The Matplotlib figure.

        Example:

        >>> from zoo import datasets
        >>> figure = datasets.load("digits").plot()
        >>> figure.get_suptitle()
        'digits: classification; 1,294 train, 144 validation, 359 test'
        """
        from .data_plot import draw_data

        return draw_data(self, figure)

    def __repr__(self) -> str:
        sizes = ", ".join(f"{size:,} {split}" for split, size in self.sizes.items())
        return (
            f"<Data '{self.name}': {self.task} of inputs {self.input_shape} into "
            f"{self.num_outputs} outputs; {sizes}>"
        )


def _moments(batches: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns the mean and variance over all axes except the last.

    Both are computed in float64, in a single pass over the batches. The statistics of
    the batches are combined with equation 2.1 of Chan, Golub & LeVeque, "Updating
    Formulae and a Pairwise Algorithm for Computing Sample Variances" (1979). The
    variance of a constant column is set to 1, so that the column is not scaled.
    """
    mean: Any = 0.0  # an array from the first batch on
    count, squares, low, high = 0, 0.0, np.inf, -np.inf
    for batch in batches:
        rows = np.asarray(batch, "float64").reshape(-1, batch.shape[-1])
        size, shift = len(rows), rows.mean(axis=0) - mean
        squares = squares + size * rows.var(axis=0)
        squares = squares + shift**2 * (count * size / (count + size))
        mean = mean + shift * (size / (count + size))
        count += size
        low = np.minimum(low, rows.min(axis=0))
        high = np.maximum(high, rows.max(axis=0))
    variance = np.where(low == high, 1.0, squares / count)
    return mean.astype("float32"), variance.astype("float32")
