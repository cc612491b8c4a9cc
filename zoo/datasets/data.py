"""A dataset ready for `fit`, with the properties that a model depends on."""

from collections.abc import Callable, Iterator
from typing import Any

import keras
import numpy as np

from ..utils.token_shape import TokenShape
from .order import Order

TASKS = ("classification", "multi_label", "regression", "language_model")


class Data:
    """Holds a dataset ready for `fit`, as returned by `load` and `from_arrays`.

    Attributes:
        name: Name of the dataset.
        train: Dataset of batches `(x, y)` that reshuffles itself every epoch: pass
            `shuffle=False` to `fit`.
        validation: Dataset of batches `(x, y)` in a fixed order, or `None`.
        test: Dataset of batches `(x, y)` in a fixed order, or `None`.
        order: The `Order` of `train`, whose `counter` can be read and set.
        sizes: Dict with the number of examples in each split.
        input_shape: Shape of one example of `x`, without the batch dimension.
        num_outputs: Number of outputs that a model needs: classes, labels, target
            values, or tokens of the vocabulary.
        task: "classification" (`y` is int32 of shape `(batch,)`), "multi_label" (`y`
            is int32 of shape `(batch, num_outputs)`, 1 for each label that applies),
            "regression" (`y` is float32 of shape `(batch, num_outputs)`) or
            "language_model" (`y` is int32 of shape `(batch, sequence_length)`, the
            next tokens).
        class_names: List of strings for classification and multi_label, otherwise
            `None`.
        feature_names: Names of the columns of a table, in order, or `None`. A one-hot
            column is named "column=category".
        vocabulary: List of tokens whose index is their id, with padding at 0 and
            unknown at 1, if `x` holds token ids (int32); otherwise `None`. All other
            `x` are float32; images of type bool, uint8 and uint16 are scaled to
            [0, 1].
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
        self.vocabulary = vocabulary
        self._train_batches = train_batches
        self._text_vectorization = text_vectorization

    @property
    def loss(self) -> keras.losses.Loss:
        """Returns a new loss to compile with, for a model that outputs logits."""
        if self.task == "regression":
            return keras.losses.MeanSquaredError()
        if self.task == "multi_label":
            return keras.losses.BinaryCrossentropy(from_logits=True)
        return keras.losses.SparseCategoricalCrossentropy(from_logits=True)

    @property
    def metrics(self) -> list:
        """Returns new metrics to compile with, for a model that outputs logits."""
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

    def normalization(self) -> keras.layers.Normalization:
        """Returns a layer that scales inputs to mean 0 and variance 1.

        The statistics are those of the train split: one mean and one variance per
        entry of the last axis, such as a column of a table or a channel of an image.
        Constant columns are centered but not scaled.

        Returns:
            A new, adapted `keras.layers.Normalization`.

        Raises:
            ValueError: If the inputs are token ids.
        """
        if self.vocabulary is not None:
            raise ValueError(
                f"The inputs of '{self.name}' are token ids, which cannot be "
                "normalized. Expected images, tables or other numbers.\n"
                "Embed them instead: `keras.layers.Embedding`."
            )
        mean, variance = _moments(x for x, _ in self._train_batches())
        return keras.layers.Normalization(
            axis=-1, mean=mean, variance=variance, name="normalization"
        )

    def denormalization(self) -> keras.layers.Normalization:
        """Returns a layer that scales outputs to the mean and variance of the targets.

        A model that ends in this layer learns targets of mean 0 and variance 1, but
        predicts in the units of the data. Loss and metrics use these units, too.

        Returns:
            A new, adapted `keras.layers.Normalization` with `invert=True`.

        Raises:
            ValueError: If the task is not regression.
        """
        if self.task != "regression":
            raise ValueError(
                f"The targets of '{self.name}' are discrete and have no mean. "
                f"Expected a regression. Received: task={self.task!r}"
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
        """Returns the layer that maps texts to token ids, for use on other texts.

        Returns:
            A new, adapted `keras.layers.TextVectorization`, which needs TensorFlow.

        Raises:
            ValueError: If the dataset was not loaded from texts.
        """
        if self._text_vectorization is None:
            raise ValueError(
                f"'{self.name}' was not loaded from texts, so it has no layer that "
                "maps texts to token ids."
            )
        return self._text_vectorization()

    def __repr__(self) -> str:
        sizes = ", ".join(f"{size:,} {split}" for split, size in self.sizes.items())
        return (
            f"<Data '{self.name}': {self.task} of inputs {self.input_shape} into "
            f"{self.num_outputs} outputs; {sizes}>"
        )


def _moments(batches: Iterator[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Returns mean and variance over all axes but the last, in one float64 pass.

    Batches are merged with equation 2.1 of Chan, Golub & LeVeque, "Updating Formulae
    and a Pairwise Algorithm for Computing Sample Variances" (1979).
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
