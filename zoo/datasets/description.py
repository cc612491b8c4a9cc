"""What the examples of a dataset are."""

from collections.abc import Callable
from dataclasses import dataclass

import keras


@dataclass(frozen=True)
class Description:
    """Describes the examples of a dataset, however they are stored.

    The attributes are those of `Data`.

    Args:
        name: Name of the dataset.
        task: "classification", "multi_label", "regression" or "language_model".
        num_outputs: Number of outputs that a model needs.
        class_names: List of strings for classification and multi_label, otherwise
            `None`.
        feature_names: Names of the columns of a table, otherwise `None`.
        vocabulary: List of tokens if `x` holds token ids, otherwise `None`.
        text_vectorization: Function that returns the layer that maps texts to token
            ids, otherwise `None`.
    """

    name: str
    task: str
    num_outputs: int
    class_names: list[str] | None = None
    feature_names: list[str] | None = None
    vocabulary: list[str] | None = None
    text_vectorization: Callable[[], keras.layers.Layer] | None = None
